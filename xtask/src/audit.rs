//! `cargo xtask audit`: many clients, faults and kills for some minutes; whoever was missed, told wrongly or told twice is
//! a finding (docs/audit.md).

use anyhow::Result;

use crate::{command, privilege, setup, workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long faults happen; waiting for the last mails comes on top
    #[arg(long)]
    minutes: f64,

    /// Which faults happen; the same seed plans the same ones. Without it, each run has another one and prints it
    #[arg(long)]
    seed: Option<u64>,

    /// How many client addresses try
    #[arg(long, default_value_t = 300)]
    clients: usize,

    /// How many servers there are
    #[arg(long, default_value_t = 3)]
    servers: usize,

    /// How many TCP ports each server serves
    #[arg(long, default_value_t = 4)]
    services: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    privilege::require_root("audit")?;
    setup::toolchain()?;
    let packages = ["--package", "monitor-userspace", "--package", "ringback-tests"];
    command::run_shown(command::cargo()?.arg("build").args(packages).args(["--bin", "ringback", "--bin", "audit"]))?;
    let mut audit = command::cargo()?;
    audit.args(["run", "--quiet", "--package", "ringback-tests", "--bin", "audit", "--"]);
    audit.arg("--keep").arg(workspace::target().join("audit"));
    audit.args(["--minutes", &args.minutes.to_string()]);
    audit.args(["--clients", &args.clients.to_string()]);
    audit.args(["--servers", &args.servers.to_string()]);
    audit.args(["--services", &args.services.to_string()]);
    if let Some(seed) = args.seed {
        audit.args(["--seed", &seed.to_string()]);
    }
    command::run(&mut audit)
}
