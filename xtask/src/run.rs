//! `cargo xtask run`: the story in the lab; with arguments, the daemon on this machine's own interfaces.

use std::ffi::OsString;

use anyhow::Result;

use crate::{command, privilege, setup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of `ringback run`, such as `--config ringback.toml`
    #[arg(last = true)]
    ringback: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    privilege::require_root("run")?;
    setup::toolchain()?;
    if args.ringback.is_empty() { play_the_story() } else { watch_real_interfaces(&args.ringback) }
}

fn play_the_story() -> Result<()> {
    let peers = setup::peers::fetch()?;
    // The dev profile is built sooner, and the story's packets are few.
    let packages = ["--package", "monitor-userspace", "--package", "ringback-tests"];
    command::run_shown(command::cargo()?.arg("build").args(packages).args(["--bin", "ringback", "--bin", "story"]))?;
    let mut story = command::cargo()?;
    story.args(["run", "--quiet", "--package", "ringback-tests", "--bin", "story"]);
    command::run(peers.show_to(&mut story)?)
}

fn watch_real_interfaces(args: &[OsString]) -> Result<()> {
    let mut ringback = command::cargo()?;
    ringback.args(["run", "--release", "--package", "monitor-userspace", "--bin", "ringback", "--", "run"]).args(args);
    command::run_shown(&mut ringback)
}
