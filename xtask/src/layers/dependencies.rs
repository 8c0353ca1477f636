//! What a crate depends on: directly only what the table lists, and never, by any chain, what it forbids.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{crates::Package, table::Crate};
use crate::{command, fault::Fault};

/// Direct dependencies that the table lacks or that are no longer there, and chains to what is forbidden.
pub(super) fn faults(package: &Package, table: &Crate) -> Result<Vec<Fault>> {
    let direct: BTreeSet<String> = direct(package);
    let mut faults =
        table.dependencies.as_ref().map_or_else(Vec::new, |permitted| compare(&package.name, &direct, permitted));
    if !table.never.is_empty() {
        // Each crate by itself: in the whole workspace, features that others want would be on.
        let mut tree = command::cargo()?;
        tree.args(["tree", "--package", &package.name, "--all-features", "--edges", "normal"]);
        tree.args(["--prefix", "depth", "--format", " {p}"]);
        faults.extend(chains(&command::output(&mut tree)?, &table.never));
    }
    Ok(faults)
}

/// The dependencies of the normal kind.
pub(super) fn direct(package: &Package) -> BTreeSet<String> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind.is_none());
    normal.map(|dependency| dependency.name.clone()).collect()
}

fn compare(package: &str, direct: &BTreeSet<String>, permitted: &BTreeSet<String>) -> Vec<Fault> {
    let more = direct.difference(permitted).map(|name| format!("{package} must not depend on {name}"));
    let less =
        permitted.difference(direct).map(|name| format!("the table lets {package} depend on {name}, and it does not"));
    more.chain(less).map(Fault::new).collect()
}

/// The chains to forbidden crates in what `cargo tree --prefix depth` printed.
fn chains(tree: &str, never: &BTreeSet<String>) -> Vec<Fault> {
    let mut chain: Vec<&str> = Vec::new();
    let mut found = BTreeSet::new();
    let mut faults = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(depth), Some(name)) = (words.next().and_then(|depth| depth.parse().ok()), words.next()) else {
            continue;
        };
        chain.truncate(depth);
        chain.push(name);
        if never.contains(name) && found.insert(name) {
            faults.push(Fault::new(format!("{} must never depend on {name}: {}", chain[0], chain.join(" -> "))));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{chains, compare};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_dependency_is_in_the_table_or_a_fault() {
        let faults = compare("core", &set(&["serde", "tokio"]), &set(&["serde", "toml"]));
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["core must not depend on tokio", "the table lets core depend on toml, and it does not"]);
    }

    #[test]
    fn a_forbidden_crate_is_found_with_its_chain() {
        let tree = "0 core v0.1.0 (/core)\n1 lettre v0.11.0\n2 serde v1.0.0\n2 tokio v1.0.0\n1 toml v1.0.0\n2 tokio v1.0.0 (*)\n";
        let faults = chains(tree, &set(&["tokio", "aya"]));
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["core must never depend on tokio: core -> lettre -> tokio"]);
    }
}
