//! One version of each crate, but for those that deny.toml skips with a reason.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Package;
use crate::fault::Fault;

/// `[bans]`
#[derive(Deserialize)]
pub(super) struct Bans {
    #[serde(default)]
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
struct Skip {
    /// `name@version`
    #[serde(rename = "crate")]
    which: String,
    reason: String,
}

/// Crates of which several versions are left, and skipped ones that are not there or have no reason.
pub(super) fn faults(packages: &[Package], config: &Bans) -> Vec<Fault> {
    let there: BTreeSet<String> =
        packages.iter().map(|package| format!("{}@{}", package.name, package.version)).collect();
    let skipped: BTreeSet<&str> = config.skip.iter().map(|skip| skip.which.as_str()).collect();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in
        packages.iter().filter(|package| !skipped.contains(format!("{}@{}", package.name, package.version).as_str()))
    {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let several = versions.iter().map(|(name, versions)| {
        let versions: Vec<_> = versions.iter().copied().collect();
        Fault::new(format!("{name} is there in several versions: {}", versions.join(", ")))
    });
    let gone = config.skip.iter().filter(|skip| !there.contains(&skip.which));
    let gone = gone.map(|skip| Fault::new(format!("deny.toml skips {}, which is not there", skip.which)));
    let bare = config.skip.iter().filter(|skip| skip.reason.trim().is_empty());
    let bare = bare.map(|skip| Fault::new(format!("deny.toml skips {} without a reason", skip.which)));
    let alone = config.skip.iter().filter(|skip| {
        let name = skip.which.split('@').next().unwrap_or_default();
        there.contains(&skip.which) && packages.iter().filter(|package| package.name == name).count() == 1
    });
    let alone =
        alone.map(|skip| Fault::new(format!("deny.toml skips {}, of which there is no other version", skip.which)));
    several.chain(gone).chain(bare).chain(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bans, Package, Skip, faults};

    fn judged(skip: &[(&str, &str)]) -> Vec<String> {
        let package = |version: &str| Package { name: "nom".to_owned(), version: version.to_owned(), license: None };
        let skip = skip.iter().map(|(which, reason)| Skip { which: (*which).to_owned(), reason: (*reason).to_owned() });
        let config = Bans { skip: skip.collect() };
        faults(&[package("7.1.3"), package("8.0.0")], &config).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_versions_are_a_fault_unless_one_is_skipped() {
        assert_eq!(judged(&[]), ["nom is there in several versions: 7.1.3, 8.0.0"]);
        assert_eq!(judged(&[("nom@7.1.3", "rasn")]), [""; 0]);
    }

    #[test]
    fn what_is_skipped_is_there_and_has_a_reason() {
        assert_eq!(
            judged(&[("nom@7.1.3", " "), ("syn@1.0.0", "old")]),
            ["deny.toml skips syn@1.0.0, which is not there", "deny.toml skips nom@7.1.3 without a reason"]
        );
    }
}
