//! `ringback signal` (F-13)

use std::net::IpAddr;

use clap::Args;
use monitor_core::domain::Service;

use super::{Context, Failure};
use crate::control::{SignalRequest, Target};

/// `ringback signal`
#[derive(Debug, Args)]
pub(super) struct SignalArgs {
    /// What is back: ADDRESS for every service of a server, or ADDRESS:PORT
    #[arg(value_parser = target)]
    target: Target,
}

fn target(text: &str) -> Result<Target, String> {
    if let Ok(server) = text.parse::<IpAddr>() {
        return Ok(Target::Server(server));
    }
    text.parse::<Service>().map(Target::Service).map_err(|error| error.to_string())
}

impl SignalArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let _: bool = context.client()?.post("/v1/signal", &SignalRequest { target: self.target }).await?;
        Ok(())
    }
}
