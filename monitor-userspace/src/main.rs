//! The `ringback` command.

use std::process::ExitCode;

use clap::Parser as _;
use ringback::cli::{Cli, main as run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ringback: {failure}");
            ExitCode::from(failure.status())
        }
    }
}
