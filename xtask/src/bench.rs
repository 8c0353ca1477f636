//! `cargo xtask bench`: the measurements of the `bench` program in `tests/`.

use std::{ffi::OsString, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    command, privilege,
    setup::{
        self,
        peers::{self, Peers},
    },
    workspace,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which measurements, by name; without any: all of them
    measurements: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    privilege::require_root("bench")?;
    setup::toolchain()?;
    let peers = peers::fetch_for_measurements()?;
    let reference = compile_reference(&peers)?;
    let mut build = command::cargo()?;
    build.args(["build", "--release", "--package", "monitor-userspace", "--bin", "ringback"]);
    command::run_shown(&mut build)?;
    let mut bench = command::cargo()?;
    bench.args(["run", "--release", "--package", "ringback-tests", "--bin", "bench", "--"]).args(&args.measurements);
    bench.env("RINGBACK_REFERENCE", reference);
    command::run_shown(peers.show_to(&mut bench)?)
}

/// The hand-written C program, once with each kind of hash map.
fn compile_reference(peers: &Peers) -> Result<PathBuf> {
    let folder = workspace::target().join("reference");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (object, kind) in [("lru.o", "BPF_MAP_TYPE_LRU_HASH"), ("hash.o", "BPF_MAP_TYPE_HASH")] {
        let mut clang = Command::new("clang");
        clang
            .args(["-O2", "-g", "-target", "bpf", &format!("-DKIND={kind}"), "-I"])
            .arg(peers.include())
            .args(["-I", &format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH), "-c"])
            .arg(workspace::root().join("tests/reference/pending.bpf.c"))
            .arg("-o")
            .arg(folder.join(object));
        command::run(peers.show_to(&mut clang)?)?;
    }
    Ok(folder)
}
