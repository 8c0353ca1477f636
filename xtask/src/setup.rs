//! `cargo xtask setup`: what the build and the lab need and this machine lacks.
//!
//! Toolchain pieces go where cargo and rustc look for them; programs for the lab, an emulator and kernels for it go
//! below `target` and nowhere else: nothing is installed into the system, so nothing is started or displaced.

mod bpf_linker;
mod debian;
pub(crate) mod kernel_image;
pub(crate) mod peers;
mod rust_src;

use anyhow::Result;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also fetch the programs that the lab and the tests talk to
    #[arg(long)]
    peers: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    toolchain()?;
    if args.peers {
        peers::fetch_for_tests()?;
    }
    Ok(())
}

/// The pieces that building the eBPF object takes.
pub(crate) fn toolchain() -> Result<()> {
    rust_src::ensure()?;
    bpf_linker::ensure()
}
