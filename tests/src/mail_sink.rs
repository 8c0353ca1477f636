//! A real SMTP server that keeps what it gets: Postfix's smtp-sink.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{Attempt, Host, Mail, Process, wait_until};

/// smtp-sink on 127.0.0.1 of a host; stopped on drop, and then connections are refused.
#[derive(Debug)]
pub struct MailSink {
    _sink: Process,
    address: SocketAddr,
    folder: PathBuf,
}

impl MailSink {
    /// Takes every mail on `port`. A sink started again on the same host and port keeps what it had.
    pub fn start(host: &Host, port: u16) -> Result<Self> {
        Self::start_with(host, port, &[])
    }

    /// The same with smtp-sink's options: `-r RCPT` (4xx), `-f RCPT` (5xx), `-q RCPT` (drops the connection) …
    pub fn start_with(host: &Host, port: u16, options: &[&str]) -> Result<Self> {
        let folder = host.folder().join(format!("mail-{port}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = host.command("smtp-sink");
        command
            .args(["-u", "root", "-d", "%s."])
            .args(options)
            .arg(address.to_string())
            .arg("128")
            .current_dir(&folder);
        let mut sink = host.spawn(&format!("smtp-sink-{port}"), &mut command)?;
        wait_until(&format!("smtp-sink accepts on {} port {port}", host.name()), Duration::from_secs(10), || {
            !sink.is_running() || matches!(host.connect(None, address, Duration::from_secs(1)), Ok(Attempt::Connected))
        })?;
        anyhow::ensure!(sink.is_running(), "smtp-sink ended at once: {}", sink.output());
        Ok(Self { _sink: sink, address, folder })
    }

    /// For `notify.smtp`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Every mail that was taken whole, oldest first. The envelope is in `X-Mail-Args` and `X-Rcpt-Args`.
    pub fn mails(&self) -> Result<Vec<Mail>> {
        let entries = fs::read_dir(&self.folder).with_context(|| format!("cannot read {}", self.folder.display()))?;
        let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        files.sort();
        let mut mails = Vec::new();
        for file in files {
            let raw = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            // smtp-sink opens the file at MAIL and writes it when the mail is there: empty is unfinished.
            if !raw.is_empty() {
                mails.push(Mail::new(&raw));
            }
        }
        Ok(mails)
    }
}
