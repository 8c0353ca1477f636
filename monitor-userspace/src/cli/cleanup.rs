//! `ringback cleanup`

use clap::Args;

use super::{Context, Failure, table};
use crate::kernel;

/// `ringback cleanup`
#[derive(Debug, Args)]
pub(super) struct Cleanup {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Cleanup {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.config()?;
        let removed = kernel::cleanup(&config.watch.pin_dir).map_err(|error| Failure::failed(error.to_string()))?;
        table::print(self.json, &removed, |removed| match removed.len() {
            0 => format!("nothing was pinned in {}\n", config.watch.pin_dir.display()),
            _ => format!("removed from {}: {}\n", config.watch.pin_dir.display(), removed.join(", ")),
        })
    }
}
