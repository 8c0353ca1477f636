//! Mistakes in `[mailbox]`, `[[relay]]`, `[[gateway]]`, `[[notice]]` and `[[webhook]]`.

use std::{collections::HashSet, time::Duration};

use super::{Config, Key, Mistake, Mistakes, check::mail, webhook_name};

/// Half of a fallback is the list's life; the mail has to arrive within it.
const SHORTEST_FALLBACK: Duration = Duration::from_secs(2);

pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    if config.mailbox.poll.is_zero() {
        mistakes.add(Mistake::new("mailbox.poll", "is zero", "write 1m"));
    }
    relays(config, mistakes);
    notices(config, mistakes);
    gateways(config, mistakes);
}

fn relays(config: &Config, mistakes: &mut Mistakes) {
    let mut servers = HashSet::new();
    for (index, relay) in config.relay.iter().enumerate() {
        let key = Key::from("relay").at(index);
        mail(mistakes, key.to("mail"), &relay.mail);
        if relay.fallback.is_some_and(|fallback| fallback < SHORTEST_FALLBACK) {
            let reason = "is too short for any mail";
            mistakes.add(Mistake::new(key.to("fallback"), reason, "write 30m, or \"off\""));
        }
        if !servers.insert(relay.server) {
            mistakes.add(Mistake::new(key.to("server"), format!("{} has a relay already", relay.server), "keep one"));
        }
    }
}

fn notices(config: &Config, mistakes: &mut Mistakes) {
    for (index, notice) in config.notice.iter().enumerate() {
        let key = Key::from("notice").at(index).to("to");
        if notice.to.is_empty() {
            mistakes.add(Mistake::new(key.clone(), "names nobody", "write at least one mail address"));
        }
        for to in &notice.to {
            match webhook_name(to) {
                None => mail(mistakes, key.clone(), to),
                Some(name) if config.webhook.iter().any(|webhook| webhook.name == name) => {}
                Some(name) => {
                    let reason = format!("there is no [[webhook]] with the name `{name}`");
                    let mistake = Mistake::new(key.clone(), reason, "write one, or another name");
                    mistakes.add(mistake.resting_on(["webhook"]));
                }
            }
        }
    }
}

fn gateways(config: &Config, mistakes: &mut Mistakes) {
    let mut names = HashSet::new();
    for (index, gateway) in config.gateway.iter().enumerate() {
        let key = Key::from("gateway").at(index);
        if let Some(receipts) = &gateway.receipts {
            mail(mistakes, key.to("receipts"), receipts);
        }
        if !names.insert(&gateway.name) {
            mistakes.add(Mistake::new(key.to("name"), format!("`{}` is there already", gateway.name), "keep one"));
        }
    }
}
