//! Mistakes in `[mailbox]`, `[[relay]]`, `[[gateway]]`, `[[notice]]` and `[[webhook]]`.

use std::{collections::HashSet, time::Duration};

use super::{
    Config,
    check::{Mistakes, say},
    webhook_name,
};

/// Half of a fallback is the list's life; the mail has to arrive within it.
const SHORTEST_FALLBACK: Duration = Duration::from_secs(2);

pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    if config.mailbox.poll.is_zero() {
        say(mistakes, "mailbox.poll", "is zero: write 1m");
    }
    let mut servers = HashSet::new();
    for (index, relay) in config.relay.iter().enumerate() {
        let key = format!("relay[{index}]");
        mail(mistakes, &format!("{key}.mail"), &relay.mail);
        if relay.fallback.is_some_and(|fallback| fallback < SHORTEST_FALLBACK) {
            say(mistakes, &format!("{key}.fallback"), "is too short for any mail: write 30m, or \"off\"");
        }
        if !servers.insert(relay.server) {
            say(mistakes, &format!("{key}.server"), format!("{} has a relay already: keep one", relay.server));
        }
    }
    for (index, notice) in config.notice.iter().enumerate() {
        if notice.to.is_empty() {
            say(mistakes, &format!("notice[{index}].to"), "names nobody: write at least one mail address");
        }
        for to in &notice.to {
            let key = format!("notice[{index}].to");
            match webhook_name(to) {
                None => mail(mistakes, &key, to),
                Some(name) if config.webhook.iter().any(|webhook| webhook.name == name) => {}
                Some(name) => say(mistakes, &key, format!("there is no [[webhook]] with the name `{name}`")),
            }
        }
    }
    let mut names = HashSet::new();
    for (index, gateway) in config.gateway.iter().enumerate() {
        let key = format!("gateway[{index}]");
        if let Some(receipts) = &gateway.receipts {
            mail(mistakes, &format!("{key}.receipts"), receipts);
        }
        if !names.insert(&gateway.name) {
            say(mistakes, &format!("{key}.name"), format!("`{}` is there already: keep one", gateway.name));
        }
    }
}

fn mail(mistakes: &mut Mistakes, key: &str, value: &str) {
    if let Err(error) = value.parse::<lettre::Address>() {
        say(mistakes, key, format!("`{value}` is not a mail address: {error}"));
    }
}
