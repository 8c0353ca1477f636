//! `cargo xtask layers --suggest`: the table of the tree as it is, to be cut down by hand to what is meant.

use std::fmt::{Display, Write as _};

use super::{
    arrows::Arrows,
    crates::{Package, Sources},
    dependencies,
};

/// The section of one crate.
pub(super) fn section(package: &Package, sources: &Sources, arrows: &Arrows) -> String {
    let name = &sources.package;
    let mut text =
        format!("[crates.{name}]\ndependencies = {}\n\n[crates.{name}.rooms]\n", list(dependencies::direct(package)));
    for (room, uses) in arrows {
        let _ = writeln!(text, "{} = {}", key(room), list(uses.keys()));
    }
    text
}

/// An array of strings, on one line or, where that is too long, one string a line.
fn list(names: impl IntoIterator<Item = impl Display>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    let line = names.join(", ");
    if line.len() <= 80 { format!("[{line}]") } else { format!("[\n    {},\n]", names.join(",\n    ")) }
}

fn key(room: &str) -> String {
    let bare = room.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
    if bare { room.to_owned() } else { format!("\"{room}\"") }
}

#[cfg(test)]
mod tests {
    use super::{key, list};

    #[test]
    fn short_lists_are_one_line() {
        assert_eq!(list(["a", "b"]), "[\"a\", \"b\"]");
        assert_eq!(list(vec!["x".repeat(50); 2]).lines().count(), 4);
    }

    #[test]
    fn odd_keys_are_quoted() {
        assert_eq!([key("mail"), key("a/b")], ["mail", "\"a/b\""]);
    }
}
