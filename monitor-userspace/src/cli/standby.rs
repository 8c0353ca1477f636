//! `ringback standby` (H-3) and `ringback standby hand-over` (H-8)

use clap::{Args, Subcommand};
use monitor_core::domain::wall_clock::utc_short;

use super::{
    Context, Failure,
    table::{self, Width, table},
};
use crate::{control::HandOverRequest, peer::PeersReport};

/// `ringback standby`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct StandbyArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Give the addresses that this host is active for to another host
    HandOver {
        /// Only those of this group
        group: Option<String>,
    },
}

impl StandbyArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        match self.verb {
            None => {
                let report: PeersReport = client.get("/v1/peers").await?;
                table::print(self.json, &report.groups, |_| text(&report, Width::of_stdout()))
            }
            Some(Verb::HandOver { group }) => {
                let request = HandOverRequest { group };
                let done: Vec<String> = client.post("/v1/standby/hand-over", &request).await?;
                table::print(false, &done, |done| match done.len() {
                    0 => "this host is active for nothing\n".to_owned(),
                    _ => format!("handed over: {}\n", done.join(", ")),
                })
            }
        }
    }
}

fn text(report: &PeersReport, width: Width) -> String {
    if report.groups.is_empty() {
        return "no addresses are shared\n".to_owned();
    }
    let lines: Vec<_> = report
        .groups
        .iter()
        .map(|group| {
            let addresses: Vec<_> = group.addresses.iter().map(ToString::to_string).collect();
            [
                group.group.clone(),
                addresses.join(", "),
                group.mode.word().to_owned(),
                utc_short(group.since),
                group.active.clone().unwrap_or_else(|| "NOBODY HEARD".to_owned()),
                group.why.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    table(["GROUP", "ADDRESSES", "MODE", "SINCE", "ACTIVE", "WHY"], &lines, width)
}
