//! One history from its begin to its judgement.

use anyhow::Result;

use crate::{
    disk::Disk,
    journal::Journal,
    oracle::{self, Report},
    plan::Plan,
    world::World,
};

/// Plays a history.
///
/// # Errors
/// The store fails in a way that the history does not ask for.
pub fn play(plan: &Plan, disk: &Disk) -> Result<Report> {
    Ok(run(plan, disk, Journal::default())?.0)
}

/// The same, and says all that happens.
///
/// # Errors
/// As there.
pub fn play_aloud(plan: &Plan, disk: &Disk) -> Result<(Report, Vec<String>)> {
    let (report, journal) = run(plan, disk, Journal::aloud())?;
    Ok((report, journal.into_lines()))
}

fn run(plan: &Plan, disk: &Disk, journal: Journal) -> Result<(Report, Journal)> {
    let mut world = World::new(plan, disk, journal)?;
    world.play()?;
    let report = oracle::judge(&world)?;
    let paths = world.gateways.iter().map(|gateway| gateway.database.clone()).collect::<Vec<_>>();
    let shared = world.shared.as_ref().map(|shared| shared.database.clone());
    let World { journal, gateways, shared: store, .. } = world;
    drop((gateways, store));
    shared.iter().chain(&paths).for_each(|path| disk.remove(path));
    Ok((report, journal))
}
