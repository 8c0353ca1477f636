//! The one printer of tables and of JSON.

use std::io::{self, Write as _};

use serde::Serialize;

use super::Failure;

/// Columns as wide as their widest cell, two spaces apart; the header only when there are lines.
pub(super) fn table<const N: usize>(header: [&str; N], lines: &[[String; N]]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let mut text = String::new();
    let header = header.map(str::to_owned);
    for line in std::iter::once(&header).chain(lines) {
        let padded: Vec<_> =
            line.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Prints a value as JSON, or as the text that `human` makes of it.
pub(super) fn print<T: Serialize>(json: bool, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    let text = if json {
        let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::failed(error.to_string()))?;
        text.push('\n');
        text
    } else {
        human(value)
    };
    match io::stdout().write_all(text.as_bytes()) {
        // A closed pipe is how `| head` ends.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["a".to_owned(), "x".to_owned()], ["long".to_owned(), "y".to_owned()]];
        assert_eq!(super::table(["one", "two"], &lines), "one   two\na     x\nlong  y\n");
        assert_eq!(super::table(["one"], &[]), "");
    }
}
