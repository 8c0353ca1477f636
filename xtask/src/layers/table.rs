//! `xtask/layers.toml`: what is permitted.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The whole file: one section for each crate of the workspace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) crates: BTreeMap<String, Crate>,
}

/// What one crate may depend on, and which of its rooms may use which.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Crate {
    /// Direct dependencies of the normal kind; without the key they are not judged.
    pub(super) dependencies: Option<BTreeSet<String>>,
    /// Crates that must not be reached by any chain of normal dependencies.
    #[serde(default)]
    pub(super) never: BTreeSet<String>,
    /// Paths that the sources must not name, such as `std::fs`.
    #[serde(default)]
    pub(super) unnamed: Vec<String>,
    /// Each room and what it may use: rooms of this crate, `crate/room` or `crate` of others. Without the key, arrows are
    /// not judged; circles are.
    pub(super) rooms: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Public type names that may be there twice, with the reason.
    #[serde(default)]
    pub(super) twice: BTreeMap<String, String>,
}

impl Table {
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("the table of layers cannot be read")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Table;

    #[test]
    fn a_table_is_read() {
        let text = "[crates.core]\ndependencies = []\nunnamed = ['std::fs']\n[crates.core.rooms]\nmail = ['domain']\n";
        let table = Table::parse(text).unwrap();
        let core = &table.crates["core"];
        assert!(core.dependencies.as_ref().unwrap().is_empty());
        assert!(core.rooms.as_ref().unwrap()["mail"].contains("domain"));
    }

    #[test]
    fn an_unknown_key_is_a_mistake() {
        assert!(Table::parse("[crates.core]\nroom = []\n").is_err());
    }
}
