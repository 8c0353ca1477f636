//! `cargo xtask test`: every test there is, with real programs on the other side; with `--kernel`, those of the kernel
//! side on other kernels.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Result;

use crate::{command, guest, privilege, setup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Boot Debian's kernel of this series, such as 6.1, in an emulator and run packet tests, story and restarts there;
    /// may be given several times
    #[arg(long = "kernel", value_name = "SERIES", conflicts_with = "cargo_test")]
    kernels: Vec<String>,

    /// Arguments of `cargo test`: a part of a test's name, `-p PACKAGE`, `-- --nocapture` …
    #[arg(last = true, allow_hyphen_values = true)]
    cargo_test: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.kernels.is_empty() {
        setup::toolchain()?;
        return guest::test_on(&args.kernels);
    }
    run_with(&args.cargo_test, &[])
}

/// Runs `cargo test` with these arguments and further variables.
pub(crate) fn run_with(arguments: &[OsString], variables: &[(&str, PathBuf)]) -> Result<()> {
    privilege::require_root("test")?;
    setup::toolchain()?;
    let peers = setup::peers::fetch_for_tests()?;
    // The end-to-end tests start the program itself, which `cargo test` alone would not build.
    command::run_shown(command::cargo()?.args(["build", "--package", "monitor-userspace", "--bin", "ringback"]))?;
    let mut test = command::cargo()?;
    test.args(["test", "--workspace", "--exclude", "monitor-ebpf"]).args(arguments).envs(variables.iter().cloned());
    command::run_shown(peers.show_to(&mut test)?)
}
