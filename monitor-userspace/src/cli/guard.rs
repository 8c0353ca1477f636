//! `ringback guard`

use clap::Args;
use monitor_core::domain::wall_clock::utc_short;

use super::{
    Context, Failure,
    table::{self, Width, table},
};
use crate::guard::{GuardLine, HealthWord};

/// `ringback guard`
#[derive(Debug, Args)]
pub(super) struct GuardArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl GuardArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let guards: Vec<GuardLine> = context.client()?.get("/v1/guards").await?;
        table::print(self.json, &guards, |guards| match guards.len() {
            0 => "no port is guarded\n".to_owned(),
            _ => lines(guards, Width::of_stdout()),
        })
    }
}

fn lines(guards: &[GuardLine], width: Width) -> String {
    let lines: Vec<_> = guards
        .iter()
        .map(|line| {
            let health = match line.health {
                HealthWord::Unknown => "not checked yet",
                HealthWord::Healthy => "healthy",
                HealthWord::Sick => "sick",
            };
            [
                line.port.to_string(),
                health.to_owned(),
                line.since.map_or_else(|| "-".to_owned(), utc_short),
                line.runs.to_string(),
                line.open.to_string(),
                line.held.to_string(),
                line.refused.to_string(),
                line.unchecked.to_string(),
                line.reason.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    table(["PORT", "HEALTH", "SINCE", "CHECKS", "OPEN", "HELD", "REFUSED", "UNCHECKED", "REASON"], &lines, width)
}
