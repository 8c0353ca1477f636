//! `ringback run`

use std::io;

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use clap::Args;
use tracing_subscriber::EnvFilter;

use super::{Context, Failure};

/// `ringback run`
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Log as JSON, one event a line
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let loaded = context.loaded_to_run()?;
        start_log(self.json);
        Ok(crate::daemon::run(loaded, context.path().to_path_buf()).await?)
    }
}

/// The log of what runs until stopped: on standard error, as `RINGBACK_LOG` filters it.
pub(super) fn start_log(json: bool) {
    let filter = EnvFilter::try_from_env("RINGBACK_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if json {
        log.json().init();
    } else {
        log.with_target(false).with_ansi(has_colour(&io::stderr())).init();
    }
}

/// Whether a person looks at it and wants colours: not in the journal or a file, and not with `NO_COLOR`.
fn has_colour(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{env, fs::File, process::Command};

    /// Programs of their own, because the answer depends on the environment.
    #[test]
    fn only_a_terminal_gets_colours_and_only_if_they_are_wanted() {
        for (file, variable, expected) in [
            ("/dev/null", ("TERM", "xterm"), "false"),
            ("/dev/ptmx", ("TERM", "xterm"), "true"),
            ("/dev/ptmx", ("NO_COLOR", "1"), "false"),
            ("/dev/ptmx", ("TERM", "dumb"), "false"),
        ] {
            let mut program = Command::new(env::current_exe().unwrap());
            program.args(["--exact", "--ignored", "--nocapture", "cli::run::tests::says_whether_a_file_has_colours"]);
            program.env_clear().env("TERM", "xterm").env(variable.0, variable.1).env("COLOURS_OF", file);
            let said = String::from_utf8(program.output().unwrap().stdout).unwrap();
            assert!(said.contains(&format!("colours: {expected}")), "{file} {variable:?}\n{said}");
        }
    }

    #[test]
    #[ignore = "run by the test above"]
    fn says_whether_a_file_has_colours() {
        let file = File::options().read(true).write(true).open(env::var_os("COLOURS_OF").unwrap()).unwrap();
        println!("colours: {}", super::has_colour(&file));
    }
}
