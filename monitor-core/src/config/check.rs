//! What a file can say that parses and yet cannot work.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use super::{
    Config, HookPreference, Key, Mistake, Mistakes, OtherPortsRule, SnmpAuth, SnmpPrivacy, SnmpUser, watch_rules,
};

/// Fewest and most attempts that may be pending per CPU.
const PENDING: (u32, u32) = (1 << 10, 1 << 23);

/// Every mistake of the text alone: nothing outside of it is looked at.
#[must_use]
pub fn check(config: &Config) -> Vec<Mistake> {
    let mut mistakes = Mistakes::default();
    watch(config, &mut mistakes);
    recovery(config, &mut mistakes);
    notify(config, &mut mistakes);
    standin(config, &mut mistakes);
    store(config, &mut mistakes);
    super::check_relay::check(config, &mut mistakes);
    addresses(config, &mut mistakes);
    super::guard::check(config, &mut mistakes);
    super::check_peers::check(config, &mut mistakes);
    mistakes.into_vec()
}

/// A mistake, unless it is a mail address.
pub(super) fn mail(mistakes: &mut Mistakes, key: Key, value: &str) {
    if let Err(error) = value.parse::<lettre::Address>() {
        let reason = format!("`{value}` is not a mail address ({error})");
        mistakes.add(Mistake::new(key, reason, "write somebody@example.net"));
    }
}

fn watch(config: &Config, mistakes: &mut Mistakes) {
    let watch = &config.watch;
    if watch.servers.is_empty() {
        let remedy = "write [\"auto\"] or a list of addresses";
        mistakes.add(Mistake::new("watch.servers", "names nothing to watch", remedy));
    }
    if let Err(error) = watch_rules(&watch.servers) {
        let remedy = "name the network without ports, its services are then learned";
        mistakes.add(Mistake::new("watch.servers", error.to_string(), remedy));
    }
    if watch.syn_timeout.is_zero() {
        mistakes.add(Mistake::new("watch.syn_timeout", "is zero, so every attempt would fail", "write 3s"));
    }
    if watch.hook == HookPreference::Tc && config.needs_xdp() {
        let reason = "is \"tc\", but guards, and refusals of other ports, need XDP";
        let mistake = Mistake::new("watch.hook", reason, "write \"auto\", which then takes XDP");
        mistakes.add(mistake.resting_on(["guard", "standin.other_ports"]));
    }
    if watch.own && !watch.egress {
        let reason = "needs watch.egress, as this host's own attempts are only seen when they leave";
        let mistake = Mistake::new("watch.own", reason, "set watch.egress to true");
        mistakes.add(mistake.resting_on(["watch.egress"]));
    }
    let (least, most) = PENDING;
    if !(least..=most).contains(&watch.pending) {
        let reason = format!("{} is out of range", watch.pending);
        mistakes.add(Mistake::new("watch.pending", reason, format!("write {least} to {most}")));
    }
    if config.outage.min_failures == 0 {
        mistakes.add(Mistake::new("outage.min_failures", "is 0, but an outage needs a failure", "write 1 or more"));
    }
    if config.outage.min_clients == 0 {
        mistakes.add(Mistake::new("outage.min_clients", "is 0, but an outage needs a client", "write 1 or more"));
    }
}

fn recovery(config: &Config, mistakes: &mut Mistakes) {
    let recovery = &config.recovery;
    for (index, oid) in recovery.trap_oids.iter().enumerate() {
        let valid = oid.split('.').count() >= 2 && oid.split('.').all(|arc| arc.parse::<u32>().is_ok());
        if !valid {
            let remedy = "write numbers with dots, such as 1.3.6.1.6.3.1.1.5.1";
            let key = Key::from("recovery.trap_oids").at(index);
            mistakes.add(Mistake::new(key, format!("`{oid}` is not an OID"), remedy));
        }
    }
    if let Some(probe) = recovery.probe {
        if probe.is_zero() {
            mistakes.add(Mistake::new("recovery.probe", "is zero", "write \"off\" or an interval such as 10s"));
        } else if probe > recovery.probe_max {
            let remedy = "raise probe_max or shorten probe";
            let mistake = Mistake::new("recovery.probe", "is longer than recovery.probe_max", remedy);
            mistakes.add(mistake.resting_on(["recovery.probe_max"]));
        }
    }
    if recovery.probe_timeout.is_zero() {
        mistakes.add(Mistake::new("recovery.probe_timeout", "is zero, so no probe could connect", "write 3s"));
    }
    if recovery.signal_listen.is_some() && recovery.signal_secret_file.is_none() {
        let reason = "needs a secret, as a signal must be authenticated";
        let mistake = Mistake::new("recovery.signal_listen", reason, "set recovery.signal_secret_file");
        mistakes.add(mistake.resting_on(["recovery.signal_secret_file"]));
    }
    for (index, user) in recovery.snmp_user.iter().enumerate() {
        snmp_user(mistakes, &Key::from("recovery.snmp_user").at(index), user);
    }
}

fn snmp_user(mistakes: &mut Mistakes, user: &Key, setting: &SnmpUser) {
    let phrase = |key: &str, file: &str, protocol: Option<&str>, is_set: bool| {
        let found = match (protocol, is_set) {
            (Some(default), true) => ("is missing".to_owned(), format!("write {default}, or leave {file} out")),
            (None, false) => ("needs a pass phrase".to_owned(), format!("set {file}")),
            _ => return None,
        };
        Some(Mistake::new(user.to(key), found.0, found.1).resting_on([user.to(file)]))
    };
    let default = (setting.auth == SnmpAuth::None).then_some("sha256");
    mistakes.extend(phrase("auth", "auth_secret_file", default, setting.auth_secret_file.is_some()));
    let default = (setting.privacy == SnmpPrivacy::None).then_some("aes128");
    mistakes.extend(phrase("privacy", "privacy_secret_file", default, setting.privacy_secret_file.is_some()));
    if setting.privacy != SnmpPrivacy::None && setting.auth == SnmpAuth::None {
        let reason = "needs authentication too (RFC 3414 has no privacy without it)";
        mistakes.add(Mistake::new(user.to("privacy"), reason, "set auth").resting_on([user.to("auth")]));
    }
    if let Some(engine) = &setting.engine_id {
        let hex = engine.trim_start_matches("0x");
        if !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) || hex.len() % 2 != 0 || !(10..=64).contains(&hex.len())
        {
            let remedy = "write 5 to 32 bytes in hexadecimal";
            mistakes.add(Mistake::new(user.to("engine_id"), format!("`{engine}` is not an engine id"), remedy));
        }
    }
}

fn notify(config: &Config, mistakes: &mut Mistakes) {
    let notify = &config.notify;
    if notify.connections == 0 {
        mistakes.add(Mistake::new("notify.connections", "is 0, so no mail could be sent", "write 1 or more"));
    }
    if notify.retry.is_zero() {
        mistakes.add(Mistake::new(
            "notify.retry",
            "is zero, so a mail server would be tried without a pause",
            "write 30s",
        ));
    } else if notify.retry > notify.retry_max {
        let remedy = "raise retry_max or shorten retry";
        let mistake = Mistake::new("notify.retry", "is longer than notify.retry_max", remedy);
        mistakes.add(mistake.resting_on(["notify.retry_max"]));
    }
}

fn standin(config: &Config, mistakes: &mut Mistakes) {
    let (standin, recovery) = (&config.standin, &config.recovery);
    let refuses = standin.other_ports != OtherPortsRule::Silent;
    // What is answered here never reaches the server: its own answer to a client cannot be what ends the outage.
    let is_seen = recovery.probe.is_some() || recovery.trap_listen.is_some() || recovery.signal_listen.is_some();
    for (key, on) in [("standin.enabled", standin.enabled), ("standin.other_ports", refuses)] {
        if on && !is_seen {
            let reason = "keeps clients' attempts from failed servers, so that their answers cannot be seen";
            let remedy = "set recovery.probe (such as 5s), trap_listen or signal_listen";
            let seen_by = ["recovery.probe", "recovery.trap_listen", "recovery.signal_listen"];
            mistakes.add(Mistake::new(key, reason, remedy).resting_on(seen_by));
        }
    }
    if standin.enabled && config.watch.client_ack {
        let reason = "cannot be used with watch.client_ack, as clients acknowledge the page too";
        let mistake = Mistake::new("standin.enabled", reason, "set one of them to false");
        mistakes.add(mistake.resting_on(["watch.client_ack"]));
    }
    if standin.answers == 0 {
        mistakes.add(Mistake::new("standin.answers", "is 0, so no answer would be taken", "write 1 or more"));
    }
    if standin.connections == 0 {
        mistakes.add(Mistake::new("standin.connections", "is 0, so nobody would see the page", "write 1 or more"));
    }
    if standin.own_url.is_some() != standin.own_listen.is_some() {
        let reason = "and standin.own_listen need each other";
        let mistake = Mistake::new("standin.own_url", reason, "set both or neither");
        mistakes.add(mistake.resting_on(["standin.own_listen"]));
    }
}

fn store(config: &Config, mistakes: &mut Mistakes) {
    if config.is_shared() {
        if config.store.lease < Duration::from_secs(3) {
            mistakes.add(Mistake::new("store.lease", "is too short to send a mail in", "write 3s or more"));
        }
    } else {
        mistakes.take(config.database_file());
    }
}

fn addresses(config: &Config, mistakes: &mut Mistakes) {
    let mut seen = HashMap::new();
    for (index, address) in config.address.iter().enumerate() {
        let key = Key::from("address").at(index);
        mail(mistakes, key.to("mail"), &address.mail);
        if let Some(first) = seen.insert(address.client, index) {
            let reason = format!("{} is already the client of entry {}", address.client, first + 1);
            // An entry that could not be read would change the number.
            let all = (0..index).map(|other| Key::from("address").at(other));
            mistakes.add(Mistake::new(key.to("client"), reason, "keep one").resting_on(all));
        }
    }
}

/// `store.url` names no database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a database")]
pub struct NoDatabase;

impl From<NoDatabase> for Mistake {
    fn from(error: NoDatabase) -> Self {
        let remedy = "write sqlite:/var/lib/ringback/ringback.db, or postgres://user@host/database";
        Self::new("store.url", error.to_string(), remedy)
    }
}

impl Config {
    /// The file that holds outages and mails.
    ///
    /// # Errors
    /// `store.url` names none.
    pub fn database_file(&self) -> Result<PathBuf, NoDatabase> {
        let Some(url) = &self.store.url else { return Ok(self.store.state_dir.join("ringback.db")) };
        match url.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
            _ => Err(NoDatabase),
        }
    }

    /// Whether the database is one that several gateways share.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.store.url.as_ref().is_some_and(|url| url.starts_with("postgres://") || url.starts_with("postgresql://"))
    }

    /// Whether something is configured that only XDP can do: to hold a SYN, or to answer it at once.
    #[must_use]
    pub fn needs_xdp(&self) -> bool {
        !self.guard.is_empty() || self.standin.other_ports != OtherPortsRule::Silent
    }

    /// The file of what is not in a shared database yet.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.store.state_dir.join("spool.db")
    }
}
