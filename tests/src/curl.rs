//! curl with arguments, and what it saw.

use std::process::Output;

use anyhow::{Context, Result};

use crate::Host;

/// What curl saw.
#[derive(Debug)]
pub struct Seen {
    /// curl's exit status; 0 is success, 7 no connection, 28 time-out, 35 no TLS handshake, 56 reset.
    pub exit: i32,
    /// HTTP status; 0: no answer.
    pub status: u16,
    /// Status line and header fields, in lower case.
    pub head: String,
    /// What follows them.
    pub body: String,
}

/// Runs curl on a host; headers are shown and no proxy is used.
pub fn curl(host: &Host, args: &[&str]) -> Result<Seen> {
    let mut curl = host.command("curl");
    curl.args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "10"]).args(args);
    let Output { stdout, status, .. } = curl.output().context("cannot start `curl`")?;
    let text = String::from_utf8_lossy(&stdout).replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    Ok(Seen {
        exit: status.code().unwrap_or(-1),
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
        head: head.to_lowercase(),
        body: body.to_owned(),
    })
}
