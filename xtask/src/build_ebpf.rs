//! `cargo xtask build-ebpf`: the eBPF object alone, as the daemon's build script builds it.
//!
//! `cargo build` does this by itself; the verb is for looking at the object (`llvm-objdump`, `bpftool prog load`).

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{command, setup, workspace};

pub(crate) fn run() -> Result<()> {
    setup::toolchain()?;
    command::run_shown(&mut cargo("build")?)?;
    let object: PathBuf = workspace::target().join(target()).join("release/ringback");
    println!("{}", object.display());
    Ok(())
}

/// This verb of cargo for the eBPF crate: with the target and the flags that aya-build gives it.
pub(crate) fn cargo(verb: &str) -> Result<Command> {
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH),
    ];
    let mut cargo = command::cargo()?;
    cargo
        .args([verb, "--package", "monitor-ebpf", "--release", "--target", target(), "-Z", "build-std=core"])
        // `core` is built from source for this target, which stable rustc calls unstable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    Ok(cargo)
}

const fn target() -> &'static str {
    if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" }
}
