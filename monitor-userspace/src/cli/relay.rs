//! `ringback relay`

use clap::Args;

use super::{Context, Failure, run::start_log};

/// `ringback relay`
#[derive(Debug, Args)]
pub(super) struct Relay {
    /// Log as JSON, one event a line
    #[arg(long)]
    json: bool,
}

impl Relay {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.config()?;
        start_log(self.json);
        Ok(crate::daemon::relay(config).await?)
    }
}
