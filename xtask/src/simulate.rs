//! `cargo xtask simulate`: random histories of clients, network, servers and daemon, each made from one seed
//! (docs/simulation.md).

use anyhow::Result;

use crate::command;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Play this history alone, and print the shortest one that goes wrong in the same way
    #[arg(long)]
    seed: Option<u64>,
    /// Attempts of one history at most
    #[arg(long, default_value_t = 400)]
    attempts: u32,
    /// Gateways that share the traffic
    #[arg(long, default_value_t = 1)]
    gateways: u16,
    /// How long to play new histories, in seconds
    #[arg(long, default_value_t = 180)]
    seconds: u64,
    /// Go on after so many histories that went wrong
    #[arg(long, default_value_t = 0)]
    go_on: u64,
    /// Play each history twice: both must go the same way
    #[arg(long)]
    twice: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut simulate = command::cargo()?;
    simulate.args(["run", "--release", "--package", "simulation", "--"]);
    if let Some(seed) = args.seed {
        simulate.args(["--seed", &seed.to_string()]);
    }
    simulate.args(["--attempts", &args.attempts.to_string(), "--gateways", &args.gateways.to_string()]);
    simulate.args(["--seconds", &args.seconds.to_string(), "--go-on", &args.go_on.to_string()]);
    if args.twice {
        simulate.arg("--twice");
    }
    command::run_shown(&mut simulate)
}
