//! `ringback completions`

use std::io;

use clap::{Args, Command};
use clap_complete::Shell;

use super::Failure;

/// `ringback completions`
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

impl CompletionsArgs {
    #[expect(clippy::unnecessary_wraps, reason = "every verb returns the same")]
    pub(super) fn run(self, mut command: Command) -> Result<(), Failure> {
        clap_complete::generate(self.shell, &mut command, "ringback", &mut io::stdout());
        Ok(())
    }
}
