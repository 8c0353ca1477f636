//! `ringback outages`

use clap::Args;
use monitor_core::{
    domain::{
        UnixMs,
        wall_clock::{lasting, utc_short},
    },
    outage::Phase,
};

use super::{
    Context, Failure,
    table::{self, Width, table},
};
use crate::{clock::Now as _, control::OutageLine};

/// `ringback outages`
#[derive(Debug, Args)]
pub(super) struct OutagesArgs {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    /// At most this many
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl OutagesArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let path = format!("/v1/outages?ended={}&limit={}", self.all, self.limit);
        let outages: Vec<OutageLine> = context.client()?.get(&path).await?;
        table::print(self.json, &outages, |outages| match outages.len() {
            0 => "no outages\n".to_owned(),
            _ => outage_lines(outages, UnixMs::now(), Width::of_stdout()),
        })
    }
}

/// Outages as a table.
pub(super) fn outage_lines(outages: &[OutageLine], now: UnixMs, width: Width) -> String {
    let lines: Vec<_> = outages
        .iter()
        .map(|line| {
            let state = match (line.phase, &line.ended_by) {
                (Some(Phase::Suspected), _) => "suspected",
                (Some(Phase::Open), _) => "open",
                (Some(Phase::Settling { .. }), _) => "settling",
                (None, Some(by)) => by,
                (None, None) => "over",
            };
            [
                line.outage.to_string(),
                line.service.to_string(),
                line.server_name.clone().unwrap_or_else(|| "-".to_owned()),
                state.to_owned(),
                utc_short(line.since),
                lasting(line.ended.unwrap_or(now).since(line.since)),
                line.clients.to_string(),
                line.evidence.to_string(),
            ]
        })
        .collect();
    table(["OUTAGE", "SERVICE", "NAME", "STATE", "SINCE", "LASTS", "CLIENTS", "EVIDENCE"], &lines, width)
}
