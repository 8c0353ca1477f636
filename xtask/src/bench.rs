//! `cargo xtask bench`: the measurements of the `bench` program in `tests/`.

use std::ffi::OsString;

use anyhow::Result;

use crate::{command, privilege, setup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of the benchmark
    #[arg(last = true)]
    bench: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    privilege::require_root("bench")?;
    setup::toolchain()?;
    let peers = setup::peers::fetch()?;
    let mut build = command::cargo()?;
    build.args(["build", "--package", "monitor-userspace", "--bin", "ringback"]);
    command::run_shown(&mut build)?;
    let mut bench = command::cargo()?;
    // What is measured runs in the kernel: its object is a release build whatever the profile of the program around it.
    bench.args(["run", "--package", "ringback-tests", "--bin", "bench", "--"]).args(&args.bench);
    command::run_shown(peers.show_to(&mut bench)?)
}
