//! `ringback man`: for packaging.

use std::path::PathBuf;

use clap::{Args, Command};

use super::Failure;

/// `ringback man`
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder, which must be there
    folder: PathBuf,
}

impl ManArgs {
    pub(super) fn run(self, command: Command) -> Result<(), Failure> {
        clap_mangen::generate_to(command, &self.folder)
            .map_err(|error| Failure::failed(format!("cannot write to {}: {error}", self.folder.display())))
    }
}
