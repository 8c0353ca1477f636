//! The command line: one file per verb, one printer for tables, one exit code per kind of trouble.

mod address;
mod address_file;
mod book;
mod check;
mod cleanup;
mod completions;
mod exit;
mod guard;
mod import;
mod man;
mod outages;
mod peers;
mod relay;
mod run;
mod services;
mod signal;
mod standby;
mod status;
mod table;
mod test_mail;
mod waiting;

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser, Subcommand};
use monitor_core::config::Config;

pub use self::exit::Failure;
use crate::{
    control::Client,
    parts::{self, Loaded, Presence},
};

/// Where the configuration is looked for.
const USUAL: &str = "/etc/ringback/ringback.toml";

const EXIT_STATUS: &str = "Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 no daemon answers.";

/// Mails the clients that could not reach a server when it is back.
#[derive(Debug, Parser)]
#[command(name = "ringback", version, after_help = EXIT_STATUS)]
pub struct Cli {
    /// Configuration file [default: /etc/ringback/ringback.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch, decide and mail, until stopped
    Run(run::RunArgs),
    /// Fetch lists of gateways by POP3 and mail the clients on them, until stopped
    Relay(relay::RelayArgs),
    /// Name every mistake in the configuration and around it, or say that there is none
    Check(check::CheckArgs),
    /// What is down, who waits, is anything lost, does mail go out
    Status(status::StatusArgs),
    /// Outages, latest first
    Outages(outages::OutagesArgs),
    /// Clients that wait for a recovery
    Waiting(waiting::WaitingArgs),
    /// Services that have answered at least once
    Services(services::ServicesArgs),
    /// Guarded ports of this host, and how their servers are
    Guard(guard::GuardArgs),
    /// The address book: who is told about which client
    #[command(subcommand)]
    Address(address::AddressArgs),
    /// Say that a server or service is back
    Signal(signal::SignalArgs),
    /// Other hosts: who is heard, who is up
    Peers(peers::PeersArgs),
    /// Addresses that several hosts share: who has them, and giving them away
    Standby(standby::StandbyArgs),
    /// Send one mail, to see whether mail goes out
    TestMail(test_mail::TestMailArgs),
    /// Detach the programs and remove everything that is pinned
    Cleanup(cleanup::CleanupArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// What every verb may use.
pub(crate) struct Context {
    path: Option<PathBuf>,
}

impl Context {
    /// The configuration and its parts.
    fn loaded(&self) -> Result<Loaded, Failure> {
        parts::load(self.path(), self.presence()).map_err(|error| Failure::usage(error.to_string()))
    }

    /// The same for a daemon, with a look at its rights.
    fn loaded_to_run(&self) -> Result<Loaded, Failure> {
        parts::load_to_run(self.path(), self.presence()).map_err(|error| Failure::usage(error.to_string()))
    }

    /// The configuration, checked.
    fn config(&self) -> Result<Config, Failure> {
        Ok(self.loaded()?.config)
    }

    const fn presence(&self) -> Presence {
        if self.path.is_some() { Presence::Required } else { Presence::Optional }
    }

    fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or_else(|| Path::new(USUAL))
    }

    /// A client of the daemon.
    fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.config()?.control.socket))
    }
}

/// Runs the command that the arguments ask for.
pub async fn main(cli: Cli) -> Result<(), Failure> {
    let context = Context { path: cli.config };
    match cli.verb {
        Verb::Run(verb) => verb.run(&context).await,
        Verb::Relay(verb) => verb.run(&context).await,
        Verb::Check(verb) => verb.run(&context).await,
        Verb::Status(verb) => verb.run(&context).await,
        Verb::Outages(verb) => verb.run(&context).await,
        Verb::Waiting(verb) => verb.run(&context).await,
        Verb::Services(verb) => verb.run(&context).await,
        Verb::Guard(verb) => verb.run(&context).await,
        Verb::Address(verb) => verb.run(&context).await,
        Verb::Signal(verb) => verb.run(&context).await,
        Verb::Peers(verb) => verb.run(&context).await,
        Verb::Standby(verb) => verb.run(&context).await,
        Verb::TestMail(verb) => verb.run(&context).await,
        Verb::Cleanup(verb) => verb.run(&context).await,
        Verb::Completions(verb) => verb.run(Cli::command()),
        Verb::Man(verb) => verb.run(Cli::command()),
    }
}
