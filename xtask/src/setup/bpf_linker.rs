//! bpf-linker, which links eBPF objects.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// The last release that works with the LLVM that is inside rustc; later ones want a system LLVM.
const VERSION: &str = "0.10.0";

pub(super) fn ensure() -> Result<()> {
    if installed() {
        return Ok(());
    }
    eprintln!("setup: bpf-linker {VERSION} is missing: building it with cargo (about a minute)");
    let mut install = command::cargo()?;
    install.args(["install", "bpf-linker", "--version", VERSION, "--locked"]);
    command::run_shown(&mut install).context("bpf-linker could not be built")
}

fn installed() -> bool {
    let Some(program) = command::find("bpf-linker") else { return false };
    command::output(Command::new(program).arg("--version"))
        .is_ok_and(|text| text.trim() == format!("bpf-linker {VERSION}"))
}
