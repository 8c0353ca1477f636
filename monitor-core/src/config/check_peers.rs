//! What `[heartbeat]`, `[standby]` and `[[peer]]` can say that cannot work.

use std::{collections::HashSet, time::Duration};

use super::{
    Config,
    check::{Mistakes, say},
};
use crate::heartbeat::wire::MAX_NAME;

/// Shorter beats would be the machine's own jitter.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);

/// Fewest missed beats: one lost datagram is no failure of a host.
const FEWEST_MISSED: u32 = 2;

pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    if config.peer.is_empty() && config.standby.is_none() && config.heartbeat.answer_listen.is_none() {
        return;
    }
    if config.heartbeat.secret_file.is_none() {
        say(mistakes, "heartbeat.secret_file", "is missing: heartbeats are authenticated by a shared secret");
    }
    if config.heartbeat.answer_listen.is_some() && !config.peer.iter().any(|peer| peer.watch) {
        say(mistakes, "heartbeat.answer_listen", "has nothing to answer: no [[peer]] has watch = true");
    }
    if let Some(own) = &config.heartbeat.name {
        name(mistakes, "heartbeat.name", own);
    }
    standby(config, mistakes);
    let mut names: HashSet<String> = config.heartbeat.name.iter().cloned().collect();
    for (index, peer) in config.peer.iter().enumerate() {
        let key = |key: &str| format!("peer[{index}].{key}");
        name(mistakes, &key("name"), &peer.name);
        if !names.insert(peer.name.clone()) {
            say(mistakes, &key("name"), format!("`{}` is another peer's name, or this host's own", peer.name));
        }
        if peer.paths.is_empty() {
            say(mistakes, &key("paths"), "is empty: write at least one, such as \"192.0.2.2:7411\"");
        }
        if peer.running_every.is_zero() {
            say(mistakes, &key("running_every"), "is zero: write 1s");
        }
        // O-3: judged more often than signalled, every peer would be down.
        if peer.judge_every <= peer.running_every {
            say(mistakes, &key("judge_every"), "must be longer than running_every: write three times as much");
        }
        for (at, mail) in peer.admin.iter().enumerate() {
            if let Err(error) = mail.parse::<lettre::Address>() {
                say(
                    mistakes,
                    &format!("peer[{index}].admin[{at}]"),
                    format!("`{mail}` is not a mail address: {error}"),
                );
            }
        }
        if !peer.watch && (config.standby.is_none() || !peer.standby) {
            say(mistakes, &key("watch"), "is false and the peer shares no address: nothing is left to do with it");
        }
    }
}

fn standby(config: &Config, mistakes: &mut Mistakes) {
    let Some(standby) = &config.standby else { return };
    if standby.beat < SHORTEST_BEAT {
        say(mistakes, "standby.beat", "is shorter than 10ms: write 50ms or more");
    }
    if standby.missed < FEWEST_MISSED {
        say(mistakes, "standby.missed", "must be 2 or more: one lost datagram is no failure");
    }
    if standby.group.is_empty() {
        say(mistakes, "standby.group", "is missing: write [[standby.group]] with a name and addresses");
    }
    if !config.peer.iter().any(|peer| peer.standby) {
        say(mistakes, "standby.interface", "has nobody to share with: add a [[peer]]");
    }
    let (mut names, mut addresses) = (HashSet::new(), HashSet::new());
    for (index, group) in standby.group.iter().enumerate() {
        let key = |key: &str| format!("standby.group[{index}].{key}");
        name(mistakes, &key("name"), &group.name);
        if !names.insert(&group.name) {
            say(mistakes, &key("name"), format!("`{}` is another group's name", group.name));
        }
        if group.addresses.is_empty() {
            say(mistakes, &key("addresses"), "is empty: write the shared addresses");
        }
        for address in &group.addresses {
            if !addresses.insert(address) {
                say(mistakes, &key("addresses"), format!("{address} is in a group already"));
            }
        }
    }
    if addresses.len() > monitor_common::GATE_ENTRIES {
        say(mistakes, "standby.group", format!("there is room for {} addresses", monitor_common::GATE_ENTRIES));
    }
}

fn name(mistakes: &mut Mistakes, key: &str, name: &str) {
    if let Err(what) = host_name(name) {
        say(mistakes, key, what);
    }
}

/// Whether a host may be called so.
///
/// # Errors
/// Why not.
pub fn host_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(format!("`{name}` is no name: write up to {MAX_NAME} letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
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
