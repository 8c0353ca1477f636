//! `cargo xtask clippy-ebpf`: clippy on the eBPF crate.
//!
//! That crate builds for the BPF target alone, so `cargo clippy` leaves it out.

use anyhow::Result;

use crate::{build_ebpf, command, setup};

pub(crate) fn run() -> Result<()> {
    setup::toolchain()?;
    command::run_shown(build_ebpf::cargo("clippy")?.args(["--", "-D", "warnings"]))
}
