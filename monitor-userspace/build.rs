//! Builds the eBPF object that `kernel/object.rs` embeds, or says what is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, exit},
};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

fn main() -> Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("cargo sets CARGO_MANIFEST_DIR")?)
        .parent()
        .context("the crate lies in the workspace")?
        .to_path_buf();
    let missing = missing_pieces();
    if !missing.is_empty() {
        eprintln!(
            "error: the eBPF programs cannot be built: {} missing; run `cargo xtask setup`",
            missing.join(" and ")
        );
        exit(1);
    }
    println!("cargo:rerun-if-changed={}", root.join("monitor-common").display());
    // SAFETY: a build script has one thread here. Stable rustc takes `-Z build-std` only with this set.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
    let toolchain = env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".to_owned());
    let ebpf = root.join("monitor-ebpf");
    aya_build::build_ebpf(
        [Package {
            name: "monitor-ebpf",
            root_dir: ebpf.to_str().context("the path of the workspace is not UTF-8")?,
            ..Default::default()
        }],
        Toolchain::Custom(&toolchain),
    )?;
    let object = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?).join("ringback");
    rename_unions(&object)
}

/// bpf-linker 0.10 makes generic names acceptable to the kernel, but not those of unions; the kernel then refuses all type
/// information. aya-log brings one such union.
fn rename_unions(object: &Path) -> Result<()> {
    const UNION: &[u8] = b"\0MaybeUninit<u8>\0";
    let mut bytes = fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
    // Both strings: the kernel's type information and the debugger's.
    while let Some(place) = bytes.windows(UNION.len()).position(|window| window == UNION) {
        bytes[place..place + UNION.len()].copy_from_slice(b"\0MaybeUninit_u8_\0");
    }
    fs::write(object, bytes).with_context(|| format!("cannot write {}", object.display()))
}

fn missing_pieces() -> Vec<&'static str> {
    let mut missing = Vec::new();
    let linker_there = Command::new("bpf-linker").arg("--version").output().is_ok_and(|output| output.status.success());
    if !linker_there {
        missing.push("bpf-linker (is cargo's bin folder on the PATH?)");
    }
    let sysroot = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "sysroot"])
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let core_there = sysroot
        .is_some_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml").exists());
    if !core_there {
        missing.push("rust-src of this toolchain");
    }
    missing
}
