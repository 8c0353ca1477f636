//! What `[heartbeat]`, `[standby]` and `[[peer]]` can say that cannot work.

use std::{collections::HashSet, time::Duration};

use super::{Config, Key, Mistake, Mistakes, check::mail};
use crate::heartbeat::wire::MAX_NAME;

/// Shorter beats would be the machine's own jitter.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);

/// Fewest missed beats: one lost datagram is no failure of a host.
const FEWEST_MISSED: u32 = 2;

pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    if !config.has_heartbeats() {
        return;
    }
    if config.heartbeat.secret_file.is_none() {
        let reason = "is missing, but heartbeats are authenticated by a shared secret";
        mistakes.add(Mistake::new("heartbeat.secret_file", reason, "name the file that holds it"));
    }
    if config.heartbeat.answer_listen.is_some() && !config.peer.iter().any(|peer| peer.watch) {
        let reason = "has nothing to answer";
        let mistake = Mistake::new("heartbeat.answer_listen", reason, "write a [[peer]] with watch = true");
        mistakes.add(mistake.resting_on(["peer"]));
    }
    if let Some(own) = &config.heartbeat.name {
        name(mistakes, "heartbeat.name".into(), own);
    }
    standby(config, mistakes);
    peers(config, mistakes);
}

fn peers(config: &Config, mistakes: &mut Mistakes) {
    let mut names: HashSet<&str> = config.heartbeat.name.as_deref().into_iter().collect();
    for (index, peer) in config.peer.iter().enumerate() {
        let entry = Key::from("peer").at(index);
        name(mistakes, entry.to("name"), &peer.name);
        if !names.insert(&peer.name) {
            mistakes.add(name_taken(index, &peer.name));
        }
        if peer.paths.is_empty() {
            let remedy = "write at least one, such as \"192.0.2.2:7411\"";
            mistakes.add(Mistake::new(entry.to("paths"), "is empty", remedy));
        }
        if peer.running_every.is_zero() {
            mistakes.add(Mistake::new(entry.to("running_every"), "is zero", "write 1s"));
        }
        // O-3: judged more often than signalled, every peer would be down.
        if peer.judge_every <= peer.running_every {
            let reason = "must be longer than running_every";
            let mistake = Mistake::new(entry.to("judge_every"), reason, "write three times as much");
            mistakes.add(mistake.resting_on([entry.to("running_every")]));
        }
        for (at, address) in peer.admin.iter().enumerate() {
            mail(mistakes, entry.to("admin").at(at), address);
        }
        if !peer.watch && (config.standby.is_none() || !peer.standby) {
            let reason = "is false and the peer shares no address, so nothing is left to do with it";
            let mistake = Mistake::new(entry.to("watch"), reason, "write watch = true, or leave the peer out");
            mistakes.add(mistake.resting_on([Key::from("standby"), entry.to("standby")]));
        }
    }
}

/// A peer's name is that of another peer, or of this host.
#[must_use]
pub fn name_taken(peer: usize, name: &str) -> Mistake {
    let reason = format!("`{name}` is another peer's name, or this host's own");
    Mistake::new(Key::from("peer").at(peer).to("name"), reason, "write the name that its own heartbeat.name has")
}

fn standby(config: &Config, mistakes: &mut Mistakes) {
    let Some(standby) = &config.standby else { return };
    if standby.beat < SHORTEST_BEAT {
        mistakes.add(Mistake::new("standby.beat", "is shorter than 10ms", "write 50ms or more"));
    }
    if standby.missed < FEWEST_MISSED {
        let reason = format!("is {}, but one lost datagram is no failure", standby.missed);
        mistakes.add(Mistake::new("standby.missed", reason, "write 2 or more"));
    }
    if standby.group.is_empty() {
        let remedy = "write [[standby.group]] with a name and addresses";
        mistakes.add(Mistake::new("standby.group", "is missing", remedy));
    }
    if !config.peer.iter().any(|peer| peer.standby) {
        let mistake = Mistake::new("standby.interface", "has nobody to share with", "add a [[peer]]");
        mistakes.add(mistake.resting_on(["peer"]));
    }
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    for (index, group) in standby.group.iter().enumerate() {
        let entry = Key::from("standby.group").at(index);
        name(mistakes, entry.to("name"), &group.name);
        if !names.insert(&group.name) {
            let reason = format!("`{}` is another group's name", group.name);
            mistakes.add(Mistake::new(entry.to("name"), reason, "write another"));
        }
        if group.addresses.is_empty() {
            mistakes.add(Mistake::new(entry.to("addresses"), "is empty", "write the shared addresses"));
        }
        for address in group.addresses.iter().filter(|address| !addresses.insert(**address)) {
            let reason = format!("{address} is in a group already");
            mistakes.add(Mistake::new(entry.to("addresses"), reason, "leave it in one"));
        }
    }
    if addresses.len() > monitor_common::GATE_ENTRIES {
        let reason = format!("there is room for {} addresses", monitor_common::GATE_ENTRIES);
        mistakes.add(Mistake::new("standby.group", reason, "share fewer"));
    }
}

fn name(mistakes: &mut Mistakes, key: Key, name: &str) {
    if let Err(error) = host_name(name) {
        mistakes.add(error.at(key));
    }
}

/// What a host may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name")]
pub struct NoHostName(String);

impl NoHostName {
    /// The mistake that it is where it stands under this key.
    pub fn at(&self, key: impl Into<Key>) -> Mistake {
        Mistake::new(key, self.to_string(), format!("write up to {MAX_NAME} letters, digits, `-`, `_` and `.`"))
    }
}

/// Whether a host may be called so.
///
/// # Errors
/// It may not.
pub fn host_name(name: &str) -> Result<(), NoHostName> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(NoHostName(name.to_owned()));
    }
    Ok(())
}

impl Config {
    /// Whether heartbeats are exchanged, or answers about them given.
    #[must_use]
    pub fn has_heartbeats(&self) -> bool {
        !self.peer.is_empty() || self.standby.is_some() || self.heartbeat.answer_listen.is_some()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use crate::config::parse;

    fn mistakes(text: &str) -> String {
        parse("file", text).unwrap_err().to_string()
    }

    // proves: O-3
    #[test]
    fn judging_must_be_rarer_than_signalling() {
        let text = "[[peer]]\nname = 'b'\npaths = ['192.0.2.2:7411']\nwatch = true\nrunning_every = '3s'\n";
        assert!(mistakes(text).contains("judge_every"), "{}", mistakes(text));
    }

    #[test]
    fn names_paths_and_secrets_are_checked() {
        let text = "[standby]\ninterface = 'eth0'\nmissed = 1\n[[peer]]\nname = 'a b'\npaths = []\n";
        for part in ["secret_file", "standby.missed", "standby.group", "peer[0].name", "peer[0].paths"] {
            assert!(mistakes(text).contains(part), "{part} is not in {}", mistakes(text));
        }
        assert!(mistakes("[heartbeat]\nanswer_listen = '0.0.0.0:7412'\n").contains("has nothing to answer"));
        let text = "[[peer]]\nname = 'b'\npaths = ['nowhere']\n";
        assert!(mistakes(text).contains("is no path"), "{}", mistakes(text));
    }
}
