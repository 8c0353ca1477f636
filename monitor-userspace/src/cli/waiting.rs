//! `ringback waiting`

use clap::Args;

use super::{
    Context, Failure,
    table::{self, table},
    time::utc,
};
use crate::{outage::OutageId, store::WaitingClient};

/// `ringback waiting`
#[derive(Debug, Args)]
pub(super) struct Waiting {
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

impl Waiting {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
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
                        utc(line.first),
                        utc(line.latest),
                        line.attempts.to_string(),
                        line.evidence.to_string(),
                        line.outage.to_string(),
                    ]
                })
                .collect();
            if lines.is_empty() {
                return "nobody waits\n".to_owned();
            }
            table(["CLIENT", "SERVICE", "FIRST", "LATEST", "ATTEMPTS", "EVIDENCE", "OUTAGE"], &lines)
        })
    }
}
