//! What a file can say that parses and yet cannot work. Each mistake is a key and a sentence with the way out.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use super::{Config, OtherPortsRule, SnmpAuth, SnmpPrivacy, SnmpUser, watch_rules};

/// Fewest and most attempts that may be pending per CPU.
const PENDING: (u32, u32) = (1 << 10, 1 << 23);

/// Keys, and what is wrong with each and what to do.
pub type Mistakes = Vec<(String, String)>;

/// Every mistake of the text alone: nothing outside of it is looked at.
#[must_use]
pub fn check(config: &Config) -> Mistakes {
    let mut mistakes = Vec::new();
    watch(config, &mut mistakes);
    recovery(config, &mut mistakes);
    notify(config, &mut mistakes);
    standin(config, &mut mistakes);
    store(config, &mut mistakes);
    super::check_relay::check(config, &mut mistakes);
    addresses(config, &mut mistakes);
    mistakes.extend(super::guard::check(config));
    super::check_peers::check(config, &mut mistakes);
    mistakes
}

pub(super) fn say(mistakes: &mut Mistakes, key: &str, what: impl Into<String>) {
    mistakes.push((key.to_owned(), what.into()));
}

fn watch(config: &Config, mistakes: &mut Mistakes) {
    let watch = &config.watch;
    if watch.servers.is_empty() {
        say(mistakes, "watch.servers", "names nothing to watch: write [\"auto\"] or a list of addresses");
    }
    if let Err(error) = watch_rules(&watch.servers) {
        say(mistakes, "watch.servers", error);
    }
    if watch.syn_timeout.is_zero() {
        say(mistakes, "watch.syn_timeout", "is zero, so every attempt would fail: write 3s");
    }
    if !(PENDING.0..=PENDING.1).contains(&watch.pending) {
        let (least, most) = PENDING;
        say(mistakes, "watch.pending", format!("{} is out of range: write {least} to {most}", watch.pending));
    }
    if config.outage.min_failures == 0 {
        say(mistakes, "outage.min_failures", "is 0, but an outage needs a failure: write 1 or more");
    }
    if config.outage.min_clients == 0 {
        say(mistakes, "outage.min_clients", "is 0, but an outage needs a client: write 1 or more");
    }
}

fn recovery(config: &Config, mistakes: &mut Mistakes) {
    let recovery = &config.recovery;
    for (index, oid) in recovery.trap_oids.iter().enumerate() {
        let valid = oid.split('.').count() >= 2 && oid.split('.').all(|arc| arc.parse::<u32>().is_ok());
        if !valid {
            let key = format!("recovery.trap_oids[{index}]");
            say(mistakes, &key, format!("`{oid}` is not an OID: write numbers with dots, such as 1.3.6.1.6.3.1.1.5.1"));
        }
    }
    if let Some(probe) = recovery.probe {
        if probe.is_zero() {
            say(mistakes, "recovery.probe", "is zero: write \"off\" or an interval such as 10s");
        } else if probe > recovery.probe_max {
            say(mistakes, "recovery.probe", "is longer than recovery.probe_max: raise probe_max or shorten probe");
        }
    }
    if recovery.probe_timeout.is_zero() {
        say(mistakes, "recovery.probe_timeout", "is zero, so no probe could connect: write 3s");
    }
    if recovery.signal_listen.is_some() && recovery.signal_secret_file.is_none() {
        let what = "needs recovery.signal_secret_file: a signal must be authenticated";
        say(mistakes, "recovery.signal_listen", what);
    }
    for (index, user) in recovery.snmp_user.iter().enumerate() {
        snmp_user(mistakes, &format!("recovery.snmp_user[{index}]"), user);
    }
}

fn snmp_user(mistakes: &mut Mistakes, key: &str, user: &SnmpUser) {
    match (user.auth, &user.auth_secret_file) {
        (SnmpAuth::None, None) => {}
        (SnmpAuth::None, Some(_)) => {
            say(mistakes, &format!("{key}.auth"), "is missing: write sha256, or leave auth_secret_file out");
        }
        (_, None) => say(mistakes, &format!("{key}.auth"), "needs auth_secret_file with the pass phrase"),
        (_, Some(_)) => {}
    }
    match (user.privacy, &user.privacy_secret_file) {
        (SnmpPrivacy::None, None) => {}
        (SnmpPrivacy::None, Some(_)) => {
            say(mistakes, &format!("{key}.privacy"), "is missing: write aes128, or leave privacy_secret_file out");
        }
        (_, None) => say(mistakes, &format!("{key}.privacy"), "needs privacy_secret_file with the pass phrase"),
        (_, Some(_)) => {}
    }
    if user.privacy != SnmpPrivacy::None && user.auth == SnmpAuth::None {
        say(
            mistakes,
            &format!("{key}.privacy"),
            "needs authentication too (RFC 3414 has no privacy without it): set auth",
        );
    }
    if let Some(engine) = &user.engine_id {
        let hex = engine.trim_start_matches("0x");
        if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) || hex.len() % 2 != 0 || !(10..=64).contains(&hex.len())
        {
            say(
                mistakes,
                &format!("{key}.engine_id"),
                format!("`{engine}` is not an engine id: write 5 to 32 bytes in hexadecimal"),
            );
        }
    }
}

fn notify(config: &Config, mistakes: &mut Mistakes) {
    let notify = &config.notify;
    if notify.connections == 0 {
        say(mistakes, "notify.connections", "is 0, so no mail could be sent: write 1 or more");
    }
    if notify.retry.is_zero() || notify.retry > notify.retry_max {
        say(mistakes, "notify.retry", "must be longer than zero and not longer than notify.retry_max");
    }
}

fn standin(config: &Config, mistakes: &mut Mistakes) {
    let (standin, recovery) = (&config.standin, &config.recovery);
    let refuses = standin.other_ports != OtherPortsRule::Silent;
    // What is answered here never reaches the server: its own answer to a client cannot be what ends the outage.
    let is_seen = recovery.probe.is_some() || recovery.trap_listen.is_some() || recovery.signal_listen.is_some();
    for (key, on) in [("standin.enabled", standin.enabled), ("standin.other_ports", refuses)] {
        if on && !is_seen {
            let what = "keeps clients' attempts from failed servers, so that their answers cannot be seen: set \
                        recovery.probe (such as 5s), trap_listen or signal_listen";
            say(mistakes, key, what);
        }
    }
    if standin.enabled && config.watch.client_ack {
        say(mistakes, "standin.enabled", "cannot be used with watch.client_ack: clients acknowledge the page too");
    }
    if standin.answers == 0 {
        say(mistakes, "standin.answers", "is 0, so no answer would be taken: write 1 or more");
    }
    if standin.connections == 0 {
        say(mistakes, "standin.connections", "is 0, so nobody would see the page: write 1 or more");
    }
    if standin.own_url.is_some() != standin.own_listen.is_some() {
        say(mistakes, "standin.own_url", "and standin.own_listen need each other: set both or neither");
    }
}

fn store(config: &Config, mistakes: &mut Mistakes) {
    if config.is_shared() {
        if config.store.lease < Duration::from_secs(3) {
            say(mistakes, "store.lease", "is too short to send a mail in: write 3s or more");
        }
    } else if let Err(what) = config.database_file() {
        say(mistakes, "store.url", what);
    }
}

fn addresses(config: &Config, mistakes: &mut Mistakes) {
    let mut seen = HashMap::new();
    for (index, address) in config.address.iter().enumerate() {
        if let Err(error) = address.mail.parse::<lettre::Address>() {
            say(
                mistakes,
                &format!("address[{index}].mail"),
                format!("`{}` is not a mail address: {error}", address.mail),
            );
        }
        if let Some(first) = seen.insert(address.client, index) {
            let what = format!("{} is already the client of entry {}: keep one", address.client, first + 1);
            say(mistakes, &format!("address[{index}].client"), what);
        }
    }
}

impl Config {
    /// The file that holds outages and mails.
    ///
    /// # Errors
    /// Why `store.url` names none.
    pub fn database_file(&self) -> Result<PathBuf, String> {
        let Some(url) = &self.store.url else { return Ok(self.store.state_dir.join("ringback.db")) };
        match url.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
            _ => Err("is not a database: write sqlite:/var/lib/ringback/ringback.db, or postgres://user@host/database"
                .to_owned()),
        }
    }

    /// Whether the database is one that several gateways share.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.store.url.as_ref().is_some_and(|url| url.starts_with("postgres://") || url.starts_with("postgresql://"))
    }

    /// The file of what is not in a shared database yet.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.store.state_dir.join("spool.db")
    }
}
