//! Mistakes in `[mailbox]`, `[[relay]]`, `[[gateway]]`, `[[notice]]` and `[[webhook]]`.

use std::{collections::HashSet, time::Duration};

use super::{
    Config, KeySetting,
    check::{Mistakes, say, secret},
};
use crate::{
    notify::{Webhooks, webhook},
    relay::{GatewayKeys, Pop3, Relays},
};

/// Half of a fallback is the list's life; the mail has to arrive within it.
const SHORTEST_FALLBACK: Duration = Duration::from_secs(2);
/// RFC 2104 section 3.
const SHORTEST_KEY: usize = 32;

pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    if let Err(error) = Pop3::new(&config.mailbox) {
        let text = error.to_string();
        let (key, what) = text.split_once(' ').unwrap_or(("mailbox.pop3", &text));
        say(mistakes, key, what);
    }
    if let Some(file) = &config.mailbox.pop3_password_file {
        secret(mistakes, "mailbox.pop3_password_file", file, 1);
    }
    if config.mailbox.poll.is_zero() {
        say(mistakes, "mailbox.poll", "is zero: write 1m");
    }
    let mut servers = HashSet::new();
    for (index, relay) in config.relay.iter().enumerate() {
        let key = format!("relay[{index}]");
        mail(mistakes, &format!("{key}.mail"), &relay.mail);
        keys(mistakes, &key, &relay.keys);
        if relay.fallback.is_some_and(|fallback| fallback < SHORTEST_FALLBACK) {
            say(mistakes, &format!("{key}.fallback"), "is too short for any mail: write 30m, or \"off\"");
        }
        if !servers.insert(relay.server) {
            say(mistakes, &format!("{key}.server"), format!("{} has a relay already: keep one", relay.server));
        }
    }
    if let Err((index, error)) = Relays::load(&config.relay) {
        say(mistakes, &format!("relay[{index}].keys"), error.to_string());
    }
    for (index, notice) in config.notice.iter().enumerate() {
        if notice.to.is_empty() {
            say(mistakes, &format!("notice[{index}].to"), "names nobody: write at least one mail address");
        }
        for to in &notice.to {
            let key = format!("notice[{index}].to");
            match webhook::name_of(to) {
                None => mail(mistakes, &key, to),
                Some(name) if config.webhook.iter().any(|webhook| webhook.name == name) => {}
                Some(name) => say(mistakes, &key, format!("there is no [[webhook]] with the name `{name}`")),
            }
        }
    }
    for (index, webhook) in config.webhook.iter().enumerate() {
        // What is missing is said once, by the loading.
        if webhook.secret_file.is_file() {
            secret(mistakes, &format!("webhook[{index}].secret_file"), &webhook.secret_file, 1);
        }
    }
    if let Err((index, error)) = Webhooks::load(&config.webhook) {
        let text = error.to_string();
        let (key, what) = text.split_once(' ').unwrap_or(("url", &text));
        say(mistakes, &format!("webhook[{index}].{key}"), what);
    }
    let mut names = HashSet::new();
    for (index, gateway) in config.gateway.iter().enumerate() {
        let key = format!("gateway[{index}]");
        if let Some(receipts) = &gateway.receipts {
            mail(mistakes, &format!("{key}.receipts"), receipts);
        }
        keys(mistakes, &key, &gateway.keys);
        if !names.insert(&gateway.name) {
            say(mistakes, &format!("{key}.name"), format!("`{}` is there already: keep one", gateway.name));
        }
    }
    if let Err((index, error)) = GatewayKeys::load(&config.gateway) {
        say(mistakes, &format!("gateway[{index}].keys"), error.to_string());
    }
}

fn mail(mistakes: &mut Mistakes, key: &str, value: &str) {
    if let Err(error) = value.parse::<lettre::Address>() {
        say(mistakes, key, format!("`{value}` is not a mail address: {error}"));
    }
}

fn keys(mistakes: &mut Mistakes, key: &str, settings: &[KeySetting]) {
    for setting in settings {
        // What is missing or short is said once, by the loading of the keys.
        if setting.file.is_file() {
            secret(mistakes, &format!("{key}.keys"), &setting.file, SHORTEST_KEY);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use crate::config::parse;

    #[test]
    fn mistakes_name_the_key_and_the_way_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a key that is long enough for SHA-256, surely").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let key = format!("keys = [{{ id = 'k', file = '{}' }}]", file.path().display());
        let relay = |more: &str| {
            format!("[[relay]]\nserver = '192.0.2.7'\nmail = 'relay@example.net'\ngateway = 'gw'\n{key}\n{more}")
        };
        parse("f", &relay("fallback = '30m'\ndeliver = 'direct'")).unwrap();
        parse("f", &format!("[[gateway]]\nname = 'gw'\n{key}")).unwrap();
        for (text, expected) in [
            ("[mailbox]\npop3 = 'pop3s://h'".to_owned(), "f:1: mailbox.pop3_user: is missing"),
            ("[mailbox]\npop3_user = 'me'".to_owned(), "f:1: mailbox.pop3: is missing"),
            (relay("fallback = '1s'"), "f:6: relay[0].fallback: is too short for any mail: write 30m"),
            (relay("").replace("relay@example.net", "relay"), "f:3: relay[0].mail: `relay` is not a mail address"),
            (relay("").replace("'k'", "'k k'"), "f:5: relay[0].keys: `k k` is not a key's name"),
            (relay("") + &relay(""), "relay[1].server: 192.0.2.7 has a relay already: keep one"),
            ("[[gateway]]\nname = 'gw'\nkeys = []".to_owned(), "f:3: gateway[0].keys: 0 keys: write one"),
            ("[[notice]]\nto = []".to_owned(), "f:2: notice[0].to: names nobody"),
            ("[[notice]]\nto = ['x']".to_owned(), "f:2: notice[0].to: `x` is not a mail address"),
            (
                "[[notice]]\nto = ['webhook:x']".to_owned(),
                "f:2: notice[0].to: there is no [[webhook]] with the name `x`",
            ),
            (
                "[[webhook]]\nname = 'x'\nurl = 'http://h/'\nsecret_file = '/absent'".to_owned(),
                "f:3: webhook[0].url: is not encrypted",
            ),
            (relay("").replace("keys", "keyz"), "there is no key `keyz` here; did you mean `keys`?"),
        ] {
            let text = parse("f", &text).unwrap_err().to_string();
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }
}
