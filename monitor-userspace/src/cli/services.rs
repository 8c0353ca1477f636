//! `ringback services`

use clap::Args;
use monitor_core::domain::wall_clock::utc_short;

use super::{
    Context, Failure,
    table::{self, Width, table},
};
use crate::control::ServiceLine;

/// `ringback services`
#[derive(Debug, Args)]
pub(super) struct ServicesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ServicesArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let services: Vec<ServiceLine> = context.client()?.get("/v1/services").await?;
        table::print(self.json, &services, |services| {
            let lines: Vec<_> =
                services.iter().map(|line| [line.service.to_string(), utc_short(line.answered)]).collect();
            if lines.is_empty() {
                return "no service has answered yet\n".to_owned();
            }
            table(["SERVICE", "ANSWERED"], &lines, Width::of_stdout())
        })
    }
}
