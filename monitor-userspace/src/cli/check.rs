//! `ringback check`

use clap::Args;

use super::{Context, Failure};
use crate::{
    kernel,
    parts::{self, Loaded},
};

/// `ringback check`
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Print the configuration in force, with all defaults
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let checked = parts::check(context.path(), context.presence()).await;
        let Loaded { config, parts } = checked.map_err(|error| Failure::usage(error.to_string()))?;
        for remark in parts.mail.remarks() {
            eprintln!("{}: notify.template_dir: {remark}", context.path().display());
        }
        let what = if parts::is_relay(&config) {
            format!("a relay of {} gateways", config.gateway.len())
        } else {
            let selected = kernel::select(&config.watch).await.map_err(|error| Failure::usage(error.to_string()))?;
            format!("watching {}", selected.names.join(", "))
        };
        super::table::print(self.json, &config, |_| format!("{}: no mistakes; {what}\n", context.path().display()))
    }
}
