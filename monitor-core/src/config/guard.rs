//! `[[guard]]`: ports of this host whose connection requests make it check itself (D-1 to D-5), and what can be wrong with
//! them.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use monitor_common::{MAX_GUARDS, MAX_HELD};
use serde::{Deserialize, Serialize};

use super::Config;

/// `[[guard]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardSetting {
    /// The guarded TCP port of this host.
    pub port: u16,
    /// `before`: the connection request waits for the check; `after`: the connection is established first.
    #[serde(default)]
    pub mode: GuardMode,
    /// What to do with a request when no check has decided in time: `open` lets it pass, `closed` does not.
    #[serde(default)]
    pub fail: GuardFail,
    /// The longest time that a request waits.
    #[serde(default = "hold", with = "super::duration")]
    pub hold: Duration,
    /// How long a result counts; zero: each request is checked.
    #[serde(default, with = "super::duration")]
    pub keep: Duration,
    /// How connections that turn out to be with a sick server end in `after` mode: `reset` or `fin`.
    #[serde(default)]
    pub end: GuardEnd,
    /// Requests that wait at the same time; more are dropped, and come again by the client's repetition.
    #[serde(default = "max_held")]
    pub max_held: u32,
    /// First pause between checks while sick; doubles up to `probe_max`.
    #[serde(default = "probe", with = "super::duration")]
    pub probe: Duration,
    /// The longest pause.
    #[serde(default = "probe_max", with = "super::duration")]
    pub probe_max: Duration,
    /// What is checked; all of it must be well.
    #[serde(default)]
    pub check: Vec<CheckSetting>,
}

/// `guard.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardMode {
    /// Checked before the handshake (D-3).
    #[default]
    Before,
    /// Checked once the connection is established (D-2).
    After,
}

/// `guard.fail`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardFail {
    /// Requests pass unchecked.
    #[default]
    Open,
    /// Requests do not pass.
    Closed,
}

/// `guard.end`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardEnd {
    /// RST.
    #[default]
    Reset,
    /// FIN, where the application has taken the connection; RST where it has not.
    Fin,
}

/// `[[guard.check]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckSetting {
    /// How long it may take.
    #[serde(default = "limit", with = "super::duration")]
    pub limit: Duration,
    /// `tcp = "ADDRESS:PORT"`: it accepts a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<SocketAddr>,
    /// `http = "ADDRESS:PORT/PATH"`: it answers with `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// The status that `http` must answer with; 200 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A program and its arguments: it ends with status 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// A systemd unit: it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// A folder: its file system has `min_free_mib` left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<PathBuf>,
    /// Free space that `disk` needs, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_free_mib: Option<u64>,
    /// The load of the last minute is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_load: Option<f64>,
    /// At least as much memory is available, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_memory_mib: Option<u64>,
    /// A file: it was changed within `max_age`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// How old `file` may be.
    #[serde(default, with = "super::duration_option", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

const fn hold() -> Duration {
    Duration::from_secs(2)
}

const fn max_held() -> u32 {
    64
}

const fn probe() -> Duration {
    Duration::from_secs(1)
}

const fn probe_max() -> Duration {
    Duration::from_secs(60)
}

const fn limit() -> Duration {
    Duration::from_secs(1)
}

/// What one `[[guard.check]]` asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckKind {
    /// A TCP connection is accepted.
    Tcp(SocketAddr),
    /// An HTTP request is answered with one of these statuses.
    Http {
        /// Where.
        addr: SocketAddr,
        /// What is asked for.
        path: String,
        /// The expected statuses.
        status: RangeInclusive<u16>,
    },
    /// A program ends with status 0.
    Command(Vec<String>),
    /// A systemd unit is active.
    Unit(String),
    /// A file system has this many bytes left.
    Disk(PathBuf, u64),
    /// The load of the last minute.
    Load(f64),
    /// Available memory in bytes.
    Memory(u64),
    /// A file was changed within this time.
    FileAge(PathBuf, Duration),
}

impl CheckSetting {
    /// What it asks for, or what is wrong with it: the key and a sentence.
    pub fn kind(&self) -> Result<CheckKind, (&'static str, String)> {
        let mut kinds = Vec::new();
        kinds.extend(self.tcp.map(CheckKind::Tcp));
        if let Some(http) = &self.http {
            kinds.push(http_kind(http, self.status.unwrap_or(200))?);
        }
        if let Some(command) = &self.command {
            if command.is_empty() {
                return Err(("command", "is empty: write [\"/path/to/program\", \"argument\"]".to_owned()));
            }
            kinds.push(CheckKind::Command(command.clone()));
        }
        kinds.extend(self.unit.clone().map(CheckKind::Unit));
        if let Some(disk) = &self.disk {
            let least = self.min_free_mib.ok_or(("disk", "needs min_free_mib: write min_free_mib = 500".to_owned()))?;
            kinds.push(CheckKind::Disk(disk.clone(), least.saturating_mul(1 << 20)));
        }
        kinds.extend(self.max_load.map(CheckKind::Load));
        kinds.extend(self.min_memory_mib.map(|least| CheckKind::Memory(least.saturating_mul(1 << 20))));
        if let Some(file) = &self.file {
            let oldest = self.max_age.ok_or(("file", "needs max_age: write max_age = \"5m\"".to_owned()))?;
            kinds.push(CheckKind::FileAge(file.clone(), oldest));
        }
        match (kinds.pop(), kinds.is_empty()) {
            (Some(kind), true) => Ok(kind),
            _ => Err((
                "",
                "must have exactly one of tcp, http, command, unit, disk, max_load, min_memory_mib, file".to_owned(),
            )),
        }
    }
}

fn http_kind(text: &str, status: u16) -> Result<CheckKind, (&'static str, String)> {
    let text = text.strip_prefix("http://").unwrap_or(text);
    let (addr, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let addr = addr.parse().map_err(|_| ("http", format!("`{text}` has no address: write 127.0.0.1:8080/health")))?;
    let path = if path.is_empty() { "/" } else { path };
    if path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        return Err(("http", format!("`{path}` is not a path: encode spaces and other characters as %XX")));
    }
    Ok(CheckKind::Http { addr, path: path.to_owned(), status: status..=status })
}

/// Every mistake in the guards.
pub(super) fn check(config: &Config) -> Vec<(String, String)> {
    let mut mistakes = Vec::new();
    let guards = &config.guard;
    if guards.len() > MAX_GUARDS {
        mistakes.push(("guard".to_owned(), format!("there are {}, at most {MAX_GUARDS} can be", guards.len())));
    }
    let held: u64 = guards.iter().map(|guard| u64::from(guard.max_held)).sum();
    if held > MAX_HELD as u64 {
        let what = format!("all guards together may hold {held} requests, at most {MAX_HELD} can be: lower max_held");
        mistakes.push(("guard".to_owned(), what));
    }
    if !guards.is_empty() && !config.watch.egress {
        let what = "is false, but guards go by this host's own answers: set it to true, or leave out [[guard]]";
        mistakes.push(("watch.egress".to_owned(), what.to_owned()));
    }
    for (index, guard) in guards.iter().enumerate() {
        let mut say = |key: &str, what: String| mistakes.push((format!("guard[{index}].{key}"), what));
        if guard.port == 0 {
            say("port", "is 0: write the TCP port to guard".to_owned());
        }
        if guards[..index].iter().any(|other| other.port == guard.port) {
            say("port", format!("{} is guarded twice: keep one", guard.port));
        }
        if guard.hold.is_zero() || guard.hold >= config.watch.syn_timeout {
            say("hold", "must be longer than zero and shorter than watch.syn_timeout: a held request would be an unanswered one".to_owned());
        }
        if guard.mode == GuardMode::After && guard.fail == GuardFail::Closed {
            let what = "= \"closed\" has no meaning with mode = \"after\", which withholds nothing: leave it out, or write mode = \"before\"";
            say("fail", what.to_owned());
        }
        if guard.max_held == 0 {
            say("max_held", "is 0, so every request would be dropped: write 1 or more".to_owned());
        }
        if guard.probe.is_zero() || guard.probe > guard.probe_max {
            say("probe", "must be longer than zero and not longer than probe_max".to_owned());
        }
        if guard.check.is_empty() {
            say("check", "is missing: write a [[guard.check]] below it".to_owned());
        }
        for (place, check) in guard.check.iter().enumerate() {
            if check.limit.is_zero() {
                say(&format!("check[{place}].limit"), "is zero, so the check could only fail: write 1s".to_owned());
            }
            if let Err((key, what)) = check.kind() {
                let dot = if key.is_empty() { "" } else { "." };
                say(&format!("check[{place}]{dot}{key}"), what);
            }
        }
    }
    mistakes
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::{CheckKind, GuardEnd, GuardFail, GuardMode};
    use crate::config::parse;

    #[test]
    fn a_guard_is_read_with_its_defaults() {
        let config = parse("f", "[[guard]]\nport = 80\n[[guard.check]]\nhttp = '127.0.0.1:80/health'\n").unwrap();
        let guard = &config.guard[0];
        assert_eq!((guard.mode, guard.fail, guard.end), (GuardMode::Before, GuardFail::Open, GuardEnd::Reset));
        assert_eq!((guard.hold, guard.keep, guard.max_held), (Duration::from_secs(2), Duration::ZERO, 64));
        let expected =
            CheckKind::Http { addr: "127.0.0.1:80".parse().unwrap(), path: "/health".to_owned(), status: 200..=200 };
        assert_eq!(guard.check[0].kind(), Ok(expected));
    }

    #[test]
    fn each_mistake_names_its_key() {
        let wrong = "[[guard]]\nport = 80\nhold = '3s'\nmax_held = 2000\nmode = 'after'\nfail = 'closed'\n\
                     [[guard.check]]\ndisk = '/'\n[[guard.check]]\ntcp = '127.0.0.1:80'\nunit = 'x'\n\
                     [[guard]]\nport = 80\n";
        let text = parse("f", wrong).unwrap_err().to_string();
        for part in [
            "guard[0].hold",
            "guard[0].fail: = \"closed\" has no meaning",
            "guard[0].check[0].disk: needs min_free_mib",
            "guard[0].check[1]: must have exactly one",
            "guard[1].port: 80 is guarded twice",
            "guard[1].check: is missing",
            "all guards together may hold 2064",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
