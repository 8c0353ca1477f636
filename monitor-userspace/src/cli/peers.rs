//! `ringback peers` (O-7)

use clap::Args;
use monitor_core::domain::wall_clock::utc_short;

use super::{
    Context, Failure,
    table::{self, Width, table},
};
use crate::peer::PeersReport;

/// `ringback peers`
#[derive(Debug, Args)]
pub(super) struct PeersArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl PeersArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let report: PeersReport = context.client()?.get("/v1/peers").await?;
        table::print(self.json, &report, |report| text(report, Width::of_stdout()))
    }
}

fn text(report: &PeersReport, width: Width) -> String {
    if report.peers.is_empty() {
        return "no peers\n".to_owned();
    }
    let lines: Vec<_> = report
        .peers
        .iter()
        .map(|peer| {
            let paths: Vec<_> = peer
                .paths
                .iter()
                .map(|line| format!("{} {}", line.path, if line.works { "works" } else { "SILENT" }))
                .collect();
            [
                peer.name.clone(),
                if peer.reachable { "yes" } else { "NO" }.to_owned(),
                peer.watch.as_ref().map_or("-", |watch| watch.state.word()).to_owned(),
                peer.watch.as_ref().map_or_else(|| "-".to_owned(), |watch| utc_short(watch.since)),
                paths.join(", "),
            ]
        })
        .collect();
    table(["PEER", "HEARD", "STATE", "SINCE", "PATHS"], &lines, width)
}
