//! `cargo xtask layers`: the house as the table `xtask/layers.toml` draws it, against the house as it is.
//!
//! Rooms are the modules of a crate's root. It fails on an arrow between rooms that the table lacks, on one in the table
//! that nobody uses, on circles, on dependencies, on what a pure crate must not name, and on a public type name that is
//! there twice.

mod arrows;
mod circles;
mod crates;
mod dependencies;
#[cfg(test)]
mod fixture;
mod modules;
mod names;
mod paths;
mod purity;
mod suggest;
mod table;
mod test_builds;

use std::fs;

use anyhow::{Context as _, Result};

use self::{
    arrows::Arrows,
    crates::{Metadata, Package, Sources},
    table::{Crate, Table},
};
use crate::{
    fault::{self, Fault},
    workspace,
};

const TABLE: &str = "xtask/layers.toml";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the table of the tree as it is instead, to be cut down by hand to what is meant
    #[arg(long)]
    suggest: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let packages = Metadata::read()?.packages;
    let all = packages.iter().map(Package::sources).collect::<Result<Vec<_>>>()?;
    let houses: Vec<_> =
        packages.iter().zip(&all).map(|(package, sources)| (package, sources, arrows::of(sources, &all))).collect();
    if args.suggest {
        houses.iter().for_each(|(package, sources, arrows)| println!("{}", suggest::section(package, sources, arrows)));
        return Ok(());
    }
    let file = workspace::root().join(TABLE);
    let table = Table::parse(&fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?)?;
    let mut faults = missing(&packages, &table);
    let mut circles = 0;
    for (package, sources, arrows) in &houses {
        print(&package.name, arrows);
        circles += circles::of(arrows).len();
        faults.extend(circles::faults(&package.name, arrows));
        if let Some(permitted) = table.crates.get(&package.name) {
            faults.extend(judge(package, sources, arrows, permitted)?);
        }
    }
    println!("circles: {circles}");
    fault::judge("layers", &faults)
}

/// Everything about one crate that the table has a word on.
fn judge(package: &Package, sources: &Sources, arrows: &Arrows, table: &Crate) -> Result<Vec<Fault>> {
    let mut faults = dependencies::faults(package, table)?;
    faults.extend(table.rooms.iter().flat_map(|rooms| arrows::faults(&package.name, arrows, rooms)));
    faults.extend(purity::faults(sources, &table.unnamed));
    faults.extend(names::faults(sources, &table.twice));
    Ok(faults)
}

/// Crates without a section, and sections without a crate.
fn missing(packages: &[Package], table: &Table) -> Vec<Fault> {
    let is_there = |name: &str| packages.iter().any(|package| package.name == name);
    let unlisted = packages.iter().filter(|package| !table.crates.contains_key(&package.name));
    let unlisted = unlisted.map(|package| Fault::new(format!("{TABLE} has no section for {}", package.name)));
    let gone = table.crates.keys().filter(|name| !is_there(name));
    let gone =
        gone.map(|name| Fault::new(format!("{TABLE} has a section for {name}, which is no crate of the workspace")));
    unlisted.chain(gone).collect()
}

fn print(package: &str, arrows: &Arrows) {
    println!("{package}");
    let width = arrows.keys().map(String::len).max().unwrap_or_default();
    for (room, uses) in arrows {
        let uses: Vec<_> = uses.keys().map(String::as_str).collect();
        println!("    {room:width$} -> {}", if uses.is_empty() { "nothing".to_owned() } else { uses.join(", ") });
    }
}
