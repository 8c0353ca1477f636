//! `ringback cleanup`

use clap::Args;

use super::{Context, Failure, table};
use crate::{
    kernel::{self, KernelError},
    page,
};

/// `ringback cleanup`
#[derive(Debug, Args)]
pub(super) struct CleanupArgs {
    /// Also while a daemon runs, which puts everything back within a second
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CleanupArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.config()?;
        let removed = kernel::cleanup(&config.watch.pin_dir, self.force);
        let mut removed = removed.map_err(|error| match error {
            KernelError::Held { holder, .. } => Failure::failed(format!(
                "the daemon is running (process {holder}): stop it first (`systemctl stop ringback`), or use --force"
            )),
            error => Failure::failed(error.to_string()),
        })?;
        // What routes to the stand-in page, in this network namespace.
        let steering = page::remove_steering().await.map_err(|error| Failure::failed(error.to_string()))?;
        removed.extend(steering);
        table::print(self.json, &removed, |removed| match removed.len() {
            0 => format!("nothing was pinned in {}\n", config.watch.pin_dir.display()),
            _ => format!("removed from {} and the routing: {}\n", config.watch.pin_dir.display(), removed.join(", ")),
        })
    }
}
