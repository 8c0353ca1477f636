//! What a configuration says of files that is not so: each is a key and a sentence with the way out.

use std::fs;

use monitor_core::{
    config::{Config, KeySetting, Mistakes, SnmpAuth, SnmpPrivacy, host_name},
    relay::Relays,
};

use super::{database, secret};
use crate::{
    host,
    notify::{Delivery, Webhooks},
    page,
    relay::{GatewayKeys, Pop3},
};

/// RFC 3414 section 11.2: shorter pass phrases are refused.
const SHORTEST_PASS_PHRASE: usize = 8;
/// RFC 2104 section 3.
const SHORTEST_KEY: usize = 32;
/// Of secrets that whoever knows them may signal with.
const SHORTEST_SECRET: usize = 16;

/// Every mistake in what the configuration names outside of itself.
#[must_use]
pub fn check(config: &Config) -> Mistakes {
    let mut mistakes = Mistakes::new();
    recovery(config, &mut mistakes);
    notify(config, &mut mistakes);
    if let Err((key, what)) = page::check(&config.standin) {
        say(&mut mistakes, &key, what);
    }
    if config.is_shared()
        && let Err(what) = database(config)
    {
        say(&mut mistakes, "store.url", what);
    }
    mailbox(config, &mut mistakes);
    relays(config, &mut mistakes);
    webhooks(config, &mut mistakes);
    heartbeats(config, &mut mistakes);
    mistakes
}

fn say(mistakes: &mut Mistakes, key: &str, what: impl Into<String>) {
    mistakes.push((key.to_owned(), what.into()));
}

fn recovery(config: &Config, mistakes: &mut Mistakes) {
    if let Some(file) = &config.recovery.signal_secret_file {
        secret::check(mistakes, "recovery.signal_secret_file", file, SHORTEST_SECRET);
    }
    for (index, user) in config.recovery.snmp_user.iter().enumerate() {
        let key = format!("recovery.snmp_user[{index}]");
        if let Some(file) = user.auth_secret_file.as_ref().filter(|_| user.auth != SnmpAuth::None) {
            secret::check(mistakes, &format!("{key}.auth_secret_file"), file, SHORTEST_PASS_PHRASE);
        }
        if let Some(file) = user.privacy_secret_file.as_ref().filter(|_| user.privacy != SnmpPrivacy::None) {
            secret::check(mistakes, &format!("{key}.privacy_secret_file"), file, SHORTEST_PASS_PHRASE);
        }
    }
}

fn notify(config: &Config, mistakes: &mut Mistakes) {
    let notify = &config.notify;
    if let Some(file) = &notify.smtp_password_file {
        secret::check(mistakes, "notify.smtp_password_file", file, 1);
    }
    if let Err(error) = Delivery::new(notify, &config.store.state_dir) {
        let text = error.to_string();
        match text.strip_prefix("notify.").and_then(|rest| rest.split_once([' ', ':'])) {
            Some((key, rest)) => {
                say(mistakes, &format!("notify.{key}"), rest.trim_start_matches([' ', ':', '=']));
            }
            None => say(mistakes, "notify.template_dir", text),
        }
    }
}

fn mailbox(config: &Config, mistakes: &mut Mistakes) {
    if let Err(error) = Pop3::new(&config.mailbox) {
        let text = error.to_string();
        let (key, what) = text.split_once(' ').unwrap_or(("mailbox.pop3", &text));
        say(mistakes, key, what);
    }
    if let Some(file) = &config.mailbox.pop3_password_file {
        secret::check(mistakes, "mailbox.pop3_password_file", file, 1);
    }
}

fn relays(config: &Config, mistakes: &mut Mistakes) {
    for (index, relay) in config.relay.iter().enumerate() {
        keys(mistakes, &format!("relay[{index}]"), &relay.keys);
    }
    if let Err((index, error)) = Relays::load(&config.relay, &|path| fs::read_to_string(path)) {
        say(mistakes, &format!("relay[{index}].keys"), error.to_string());
    }
    for (index, gateway) in config.gateway.iter().enumerate() {
        keys(mistakes, &format!("gateway[{index}]"), &gateway.keys);
    }
    if let Err((index, error)) = GatewayKeys::load(&config.gateway) {
        say(mistakes, &format!("gateway[{index}].keys"), error.to_string());
    }
}

fn webhooks(config: &Config, mistakes: &mut Mistakes) {
    for (index, webhook) in config.webhook.iter().enumerate() {
        // What is missing is said once, by the loading.
        if webhook.secret_file.is_file() {
            secret::check(mistakes, &format!("webhook[{index}].secret_file"), &webhook.secret_file, 1);
        }
    }
    if let Err((index, error)) = Webhooks::load(&config.webhook) {
        let text = error.to_string();
        let (key, what) = text.split_once(' ').unwrap_or(("url", &text));
        say(mistakes, &format!("webhook[{index}].{key}"), what);
    }
}

fn heartbeats(config: &Config, mistakes: &mut Mistakes) {
    if config.peer.is_empty() && config.standby.is_none() && config.heartbeat.answer_listen.is_none() {
        return;
    }
    if let Some(file) = &config.heartbeat.secret_file {
        secret::check(mistakes, "heartbeat.secret_file", file, SHORTEST_SECRET);
    }
    if config.heartbeat.name.is_some() {
        return;
    }
    let own = host::name();
    if let Err(what) = host_name(&own) {
        say(mistakes, "heartbeat.name", what);
    }
    if let Some(index) = config.peer.iter().position(|peer| peer.name == own) {
        say(mistakes, &format!("peer[{index}].name"), format!("`{own}` is another peer's name, or this host's own"));
    }
}

fn keys(mistakes: &mut Mistakes, key: &str, settings: &[KeySetting]) {
    for setting in settings {
        // What is missing or short is said once, by the loading of the keys.
        if setting.file.is_file() {
            secret::check(mistakes, &format!("{key}.keys"), &setting.file, SHORTEST_KEY);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use crate::parts::parse;

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
