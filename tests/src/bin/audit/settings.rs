//! The arguments of the audit.

use std::{env, fmt, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::clock::{self, SECOND};

/// Client hosts; the clients are their addresses.
const HOSTS: usize = 6;

/// What is played, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// `--minutes`: how long faults happen.
    pub(crate) minutes: f64,
    /// `--seed`: which faults.
    pub(crate) seed: u64,
    /// `--clients`: how many client addresses.
    pub(crate) clients: usize,
    /// `--servers`: how many servers.
    pub(crate) servers: usize,
    /// `--services`: how many TCP ports each server serves.
    pub(crate) services: usize,
    /// `--keep`: the folder for the findings.
    pub(crate) keep: PathBuf,
}

impl Settings {
    /// From the command line.
    pub(crate) fn from_arguments() -> Result<Self> {
        Self::parse(env::args().skip(1))
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let keep = env::temp_dir().join("ringback-audit");
        // Another one each time: a run prints it.
        let seed = clock::now() / SECOND % 100_000;
        let mut settings = Self { minutes: 3.0, seed, clients: 300, servers: 3, services: 4, keep };
        while let Some(name) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
            let wrong = || format!("{name} {value}");
            match name.as_str() {
                "--minutes" => settings.minutes = value.parse().with_context(wrong)?,
                "--seed" => settings.seed = value.parse().with_context(wrong)?,
                "--clients" => settings.clients = value.parse().with_context(wrong)?,
                "--servers" => settings.servers = value.parse().with_context(wrong)?,
                "--services" => settings.services = value.parse().with_context(wrong)?,
                "--keep" => settings.keep = value.into(),
                _ => bail!("{name} is none of --minutes, --seed, --clients, --servers, --services, --keep"),
            }
        }
        ensure!((HOSTS..=HOSTS * 250).contains(&settings.clients), "--clients is from {HOSTS} to {}", HOSTS * 250);
        ensure!((1..=250).contains(&settings.servers), "--servers is from 1 to 250");
        ensure!((1..=1000).contains(&settings.services), "--services is from 1 to 1000");
        ensure!(settings.minutes > 0.0 && settings.minutes < 100_000.0, "--minutes is a positive number");
        Ok(settings)
    }

    /// How many client hosts there are.
    pub(crate) const fn hosts(&self) -> usize {
        HOSTS
    }

    /// How many addresses each of them has, of each family.
    pub(crate) const fn clients_per_host(&self) -> usize {
        self.clients.div_ceil(HOSTS)
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minutes, seed, clients, servers, services, .. } = self;
        write!(
            f,
            "audit: {minutes} minutes, seed {seed}, {clients} clients, {servers} servers, {services} services each"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn arguments_are_read_and_mistakes_are_named() {
        let parse = |line: &str| Settings::parse(line.split_whitespace().map(str::to_owned));
        assert!(parse("--minutes 0.5 --seed 7").is_ok_and(|settings| settings.minutes == 0.5 && settings.seed == 7));
        for (line, says) in [("--clients 0", "--clients"), ("--seed x", "--seed x"), ("--sed 1", "none of")] {
            assert!(parse(line).is_err_and(|error| format!("{error:#}").contains(says)), "{line}");
        }
    }
}
