//! The crates of the workspace and their sources, as cargo sees them.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::modules::Tree;
use crate::command;

/// A crate's modules.
pub(super) struct Sources {
    pub(super) package: String,
    /// The name by which other crates use it; empty if it has no library.
    pub(super) library: String,
    /// One for the library and one for each program.
    pub(super) trees: Vec<Tree>,
}

/// What `cargo metadata --no-deps` prints, as far as it is needed.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Nothing for a dependency of the normal kind, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
    src_path: PathBuf,
}

impl Metadata {
    pub(super) fn read() -> Result<Self> {
        let mut metadata = command::cargo()?;
        metadata.args(["metadata", "--format-version", "1", "--no-deps"]);
        serde_json::from_str(&command::output(&mut metadata)?).context("cargo's metadata cannot be read")
    }
}

impl Package {
    pub(super) fn sources(&self) -> Result<Sources> {
        let is = |target: &&Target, kind: &str| target.kind.iter().any(|other| other == kind);
        let library = self.targets.iter().find(|target| is(target, "lib"));
        let roots = self.targets.iter().filter(|target| is(target, "lib") || is(target, "bin"));
        Ok(Sources {
            package: self.name.clone(),
            library: library.map(|library| library.name.replace('-', "_")).unwrap_or_default(),
            trees: roots.map(|root| Tree::load(&root.src_path)).collect::<Result<_>>()?,
        })
    }
}
