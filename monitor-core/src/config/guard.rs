//! `[[guard]]`: ports of this host whose connection requests make it check itself (D-1 to D-5), and what can be wrong with
//! them.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use monitor_common::{MAX_GUARDS, MAX_HELD};
use serde::{Deserialize, Serialize};

use super::{Config, Key, Mistake, Mistakes};

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
    /// What it asks for.
    ///
    /// # Errors
    /// What is wrong with it; the key is one below `[[guard.check]]`.
    pub fn kind(&self) -> Result<CheckKind, Mistake> {
        let mut kinds = Vec::new();
        kinds.extend(self.tcp.map(CheckKind::Tcp));
        if let Some(http) = &self.http {
            kinds.push(http_kind(http, self.status.unwrap_or(200))?);
        }
        if let Some(command) = &self.command {
            if command.is_empty() {
                return Err(Mistake::new("command", "is empty", "write [\"/path/to/program\", \"argument\"]"));
            }
            kinds.push(CheckKind::Command(command.clone()));
        }
        kinds.extend(self.unit.clone().map(CheckKind::Unit));
        if let Some(disk) = &self.disk {
            let missing =
                || Mistake::new("disk", "needs min_free_mib", "write min_free_mib = 500").resting_on(["min_free_mib"]);
            let least = self.min_free_mib.ok_or_else(missing)?;
            kinds.push(CheckKind::Disk(disk.clone(), least.saturating_mul(1 << 20)));
        }
        kinds.extend(self.max_load.map(CheckKind::Load));
        kinds.extend(self.min_memory_mib.map(|least| CheckKind::Memory(least.saturating_mul(1 << 20))));
        if let Some(file) = &self.file {
            let missing = || Mistake::new("file", "needs max_age", "write max_age = \"5m\"").resting_on(["max_age"]);
            kinds.push(CheckKind::FileAge(file.clone(), self.max_age.ok_or_else(missing)?));
        }
        let count = kinds.len();
        kinds.pop().filter(|_| count == 1).ok_or_else(|| {
            let kinds = "tcp, http, command, unit, disk, max_load, min_memory_mib, file";
            Mistake::plain("", format!("must have exactly one of {kinds}"))
        })
    }
}

fn http_kind(text: &str, status: u16) -> Result<CheckKind, Mistake> {
    let text = text.strip_prefix("http://").unwrap_or(text);
    let (addr, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let addr = addr
        .parse()
        .map_err(|_| Mistake::new("http", format!("`{text}` has no address"), "write 127.0.0.1:8080/health"))?;
    let path = if path.is_empty() { "/" } else { path };
    if path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        let remedy = "encode spaces and other characters as %XX";
        return Err(Mistake::new("http", format!("`{path}` is not a path"), remedy));
    }
    Ok(CheckKind::Http { addr, path: path.to_owned(), status: status..=status })
}

/// Every mistake in the guards.
pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    let guards = &config.guard;
    if guards.len() > MAX_GUARDS {
        let reason = format!("there are {}, at most {MAX_GUARDS} can be", guards.len());
        mistakes.add(Mistake::new("guard", reason, "leave some out"));
    }
    let held: u64 = guards.iter().map(|guard| u64::from(guard.max_held)).sum();
    if held > MAX_HELD as u64 {
        let reason = format!("all guards together may hold {held} requests, at most {MAX_HELD} can be");
        mistakes.add(Mistake::new("guard", reason, "lower max_held"));
    }
    if !guards.is_empty() && !config.watch.egress {
        let reason = "is false, but guards go by this host's own answers";
        mistakes.add(Mistake::new("watch.egress", reason, "set it to true, or leave out [[guard]]"));
    }
    for (index, guard) in guards.iter().enumerate() {
        let entry = Key::from("guard").at(index);
        if guards[..index].iter().any(|other| other.port == guard.port) {
            mistakes.add(Mistake::new(entry.to("port"), format!("{} is guarded twice", guard.port), "keep one"));
        }
        one_guard(config, guard, &entry, mistakes);
        for (place, check) in guard.check.iter().enumerate() {
            let entry = entry.to("check").at(place);
            if check.limit.is_zero() {
                let reason = "is zero, so the check could only fail";
                mistakes.add(Mistake::new(entry.to("limit"), reason, "write 1s"));
            }
            mistakes.take(check.kind().map_err(|mistake| mistake.below(&entry)));
        }
    }
}

fn one_guard(config: &Config, guard: &GuardSetting, entry: &Key, mistakes: &mut Mistakes) {
    if guard.port == 0 {
        mistakes.add(Mistake::new(entry.to("port"), "is 0", "write the TCP port to guard"));
    }
    if guard.hold.is_zero() || guard.hold >= config.watch.syn_timeout {
        let reason = "must be longer than zero and shorter than watch.syn_timeout (a held request would be an \
                      unanswered one)";
        let mistake = Mistake::new(entry.to("hold"), reason, "write 2s");
        mistakes.add(mistake.resting_on(["watch.syn_timeout"]));
    }
    if guard.mode == GuardMode::After && guard.fail == GuardFail::Closed {
        let reason = "= \"closed\" has no meaning with mode = \"after\", which withholds nothing";
        let mistake = Mistake::new(entry.to("fail"), reason, "leave it out, or write mode = \"before\"");
        mistakes.add(mistake.resting_on([entry.to("mode")]));
    }
    if guard.max_held == 0 {
        let reason = "is 0, so every request would be dropped";
        mistakes.add(Mistake::new(entry.to("max_held"), reason, "write 1 or more"));
    }
    if guard.probe.is_zero() {
        mistakes.add(Mistake::new(entry.to("probe"), "is zero", "write 1s"));
    } else if guard.probe > guard.probe_max {
        let mistake = Mistake::new(entry.to("probe"), "is longer than probe_max", "raise probe_max or shorten probe");
        mistakes.add(mistake.resting_on([entry.to("probe_max")]));
    }
    if guard.check.is_empty() {
        mistakes.add(Mistake::new(entry.to("check"), "is missing", "write a [[guard.check]] below it"));
    }
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
