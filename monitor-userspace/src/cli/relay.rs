//! `ringback relay`

use clap::Args;

use super::{Context, Failure, run::start_log};

/// `ringback relay`
#[derive(Debug, Args)]
pub(super) struct RelayArgs {
    /// Log as JSON, one event a line
    #[arg(long)]
    json: bool,
}

impl RelayArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let loaded = context.loaded()?;
        start_log(self.json);
        Ok(crate::daemon::relay(loaded).await?)
    }
}
