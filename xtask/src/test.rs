//! `cargo xtask test`: every test there is, with real programs on the other side.

use std::ffi::OsString;

use anyhow::Result;

use crate::{command, privilege, setup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of `cargo test`: a part of a test's name, `-p PACKAGE`, `-- --nocapture` …
    #[arg(last = true, allow_hyphen_values = true)]
    cargo_test: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    privilege::require_root("test")?;
    setup::toolchain()?;
    let peers = setup::peers::fetch()?;
    // The end-to-end tests start the program itself, which `cargo test` alone would not build.
    command::run_shown(command::cargo()?.args(["build", "--package", "monitor-userspace", "--bin", "ringback"]))?;
    let mut test = command::cargo()?;
    test.args(["test", "--workspace", "--exclude", "monitor-ebpf"]).args(&args.cargo_test);
    command::run_shown(peers.show_to(&mut test)?)
}
