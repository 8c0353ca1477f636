//! `ringback waiting`

use std::net::IpAddr;

use clap::{Args, Subcommand};
use monitor_core::domain::{ClientAddr, Language, OutageId, wall_clock::utc_short};
use monitor_store::WaitingClient;

use super::{
    Context, Failure,
    table::{self, Width, table},
};
use crate::control::WaitingRequest;

/// `ringback waiting`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct WaitingArgs {
    #[command(subcommand)]
    verb: Option<WaitingVerb>,
    /// Only of this outage
    #[arg(long)]
    outage: Option<OutageId>,
    /// At most this many
    #[arg(long, default_value_t = 1000)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum WaitingVerb {
    /// Let a client wait though it has not tried
    Add(Add),
}

/// `ringback waiting add` (B-2)
#[derive(Debug, Args)]
struct Add {
    /// The outage, as `ringback outages` numbers it
    outage: OutageId,
    /// The client's address
    client: IpAddr,
    /// Where to tell it; otherwise at the address on record
    #[arg(long)]
    mail: Option<String>,
    /// In which language: en or ja
    #[arg(long, requires = "mail", value_parser = super::address::language)]
    language: Option<Language>,
}

impl WaitingArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        if let Some(WaitingVerb::Add(add)) = self.verb {
            let Add { outage, client, mail, language } = add;
            let request = WaitingRequest { outage, client: ClientAddr::new(client), mail, language };
            let _: bool = context.client()?.post("/v1/waiting", &request).await?;
            return Ok(());
        }
        let outage = self.outage.map(|outage| format!("&outage={outage}")).unwrap_or_default();
        let path = format!("/v1/waiting?limit={}{outage}", self.limit);
        let clients: Vec<WaitingClient> = context.client()?.get(&path).await?;
        table::print(self.json, &clients, |clients| {
            let lines: Vec<_> = clients
                .iter()
                .map(|line| {
                    [
                        line.client.to_string(),
                        line.service.to_string(),
                        utc_short(line.first),
                        utc_short(line.latest),
                        line.attempts.to_string(),
                        line.evidence.to_string(),
                        line.outage.to_string(),
                    ]
                })
                .collect();
            if lines.is_empty() {
                return "nobody waits\n".to_owned();
            }
            table(
                ["CLIENT", "SERVICE", "FIRST", "LATEST", "ATTEMPTS", "EVIDENCE", "OUTAGE"],
                &lines,
                Width::of_stdout(),
            )
        })
    }
}
