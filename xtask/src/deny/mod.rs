//! `cargo xtask deny`: what dependencies may be, by deny.toml.
//!
//! cargo-deny checks all of it. Building it takes many minutes on a small machine, so without it licences and duplicates
//! are checked here, by the same lists.

mod duplicates;
mod licences;

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use self::{duplicates::Bans, licences::Licences};
use crate::{command, fault, workspace};

/// The release that `--install` builds.
const VERSION: &str = "0.20.2";
/// The machines that Ringback is built for; other machines' crates are not looked at.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build cargo-deny first if it is missing
    #[arg(long)]
    install: bool,
}

/// What deny.toml says, as far as it is checked here.
#[derive(Deserialize)]
struct Config {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A crate in the graph.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.install && command::find("cargo-deny").is_none() {
        let mut install = command::cargo()?;
        command::run_shown(install.args(["install", "cargo-deny", "--version", VERSION, "--locked"]))?;
    }
    match command::find("cargo-deny") {
        Some(program) => {
            let mut deny = Command::new(program);
            deny.current_dir(workspace::root()).args(["check", "licenses", "bans", "sources"]);
            command::run_shown(&mut deny)
        }
        None => check_here(),
    }
}

fn check_here() -> Result<()> {
    let file = workspace::root().join("deny.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let config: Config = toml::from_str(&text).context("deny.toml cannot be read")?;
    let mut metadata = command::cargo()?;
    metadata.args(["metadata", "--format-version", "1"]);
    metadata.args(TARGETS.iter().flat_map(|target| ["--filter-platform", target]));
    let metadata: Metadata =
        serde_json::from_str(&command::output(&mut metadata)?).context("cargo's metadata cannot be read")?;
    let packages = &metadata.packages;
    let mut faults = licences::faults(packages, &config.licenses)?;
    faults.extend(duplicates::faults(packages, &config.bans));
    let names: BTreeSet<_> = packages.iter().map(|package| &package.name).collect();
    println!(
        "deny: licences and duplicates of {} crates; cargo-deny, which checks more, is not installed",
        names.len()
    );
    fault::judge("deny", &faults)
}
