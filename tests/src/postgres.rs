//! A real PostgreSQL server on a host of the lab, for gateways that share a database.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::Host;

/// Whom the script runs the server as.
const NOBODY: u32 = 65534;

const SCRIPT: &str = include_str!("postgres.sh");

/// The server; ended on drop.
#[derive(Debug)]
pub struct Postgres<'lab> {
    host: &'lab Host,
    folder: PathBuf,
    server: Child,
}

impl<'lab> Postgres<'lab> {
    /// Starts it on all the host's addresses, and waits until it takes connections. It outlives everything but the machine.
    pub fn start(host: &'lab Host) -> Result<Self> {
        Self::start_with(host, &["fsync=off"])
    }

    /// The same, with this certificate and key (PEM): it offers TLS.
    pub fn start_tls(host: &'lab Host, certificate: &Path, key: &Path) -> Result<Self> {
        // The server reads it as the user that it runs as, and wants it to be nobody else's.
        chown(key, Some(NOBODY), Some(NOBODY)).with_context(|| format!("cannot give {} away", key.display()))?;
        let certificate = format!("ssl_cert_file={}", certificate.display());
        let key = format!("ssl_key_file={}", key.display());
        Self::start_with(host, &["fsync=off", "ssl=on", &certificate, &key])
    }

    /// The same, with each commit on the disk: for measurements.
    pub fn start_durable(host: &'lab Host) -> Result<Self> {
        Self::start_with(host, &["fsync=on"])
    }

    fn start_with(host: &'lab Host, settings: &[&str]) -> Result<Self> {
        let folder = host.folder().join("postgres");
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let mut command = host.command("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&folder).arg("*").args(settings);
        let mut server =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start PostgreSQL")?;
        let mut said = String::new();
        BufReader::new(server.stdout.take().context("its output")?).read_line(&mut said)?;
        ensure!(said == "ready\n", "PostgreSQL does not start (see `cargo xtask setup --peers`)");
        Ok(Self { host, folder, server })
    }

    /// `store.url` for a gateway.
    #[must_use]
    pub fn url(&self) -> String {
        Self::url_on(self.host)
    }

    /// The same of a server that may not have started yet.
    #[must_use]
    pub fn url_on(host: &Host) -> String {
        format!("postgres://ringback@{}/postgres?sslmode=disable&connect_timeout=2", host.v4())
    }

    /// What a query finds: columns by `|`, rows by line.
    pub fn query(&self, sql: &str) -> Result<String> {
        let mut psql = self.host.command("psql");
        psql.args(["-X", "-A", "-t", "-U", "ringback", "-d", "postgres", "-h"]).arg(&self.folder);
        psql.args(["-c", &format!("SET search_path = ringback; {sql}")]);
        let output = psql.output().context("cannot start psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter(|line| *line != "SET").collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.server.stdin.take());
        if let Err(error) = self.server.wait() {
            eprintln!("lab: PostgreSQL: {error}");
        }
    }
}
