//! `ringback run`

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{Context, Failure};

/// `ringback run`
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Log as JSON, one event a line
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.config()?;
        start_log(self.json);
        Ok(crate::daemon::run(config, context.path().to_path_buf()).await?)
    }
}

/// The log of what runs until stopped: on standard error, as `RINGBACK_LOG` filters it.
pub(super) fn start_log(json: bool) {
    let filter = EnvFilter::try_from_env("RINGBACK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        log.json().init();
    } else {
        log.with_target(false).init();
    }
}
