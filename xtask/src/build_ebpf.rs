//! `cargo xtask build-ebpf`: the eBPF object alone, as the daemon's build script builds it.
//!
//! `cargo build` does this by itself; the verb is for looking at the object (`llvm-objdump`, `bpftool prog load`).

use std::path::PathBuf;

use anyhow::Result;

use crate::{command, setup, workspace};

pub(crate) fn run() -> Result<()> {
    setup::toolchain()?;
    let endian = if cfg!(target_endian = "big") { "bpfeb" } else { "bpfel" };
    let target = format!("{endian}-unknown-none");
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH),
    ];
    let mut build = command::cargo()?;
    build
        .args(["build", "--package", "monitor-ebpf", "--release", "--target", &target, "-Z", "build-std=core"])
        // `core` is built from source for this target, which stable rustc calls unstable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    command::run_shown(&mut build)?;
    let object: PathBuf = workspace::target().join(&target).join("release/ringback");
    println!("{}", object.display());
    Ok(())
}
