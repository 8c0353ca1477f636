//! From the configuration to the parts that work by it: `check`, start and reload all go this way.
//!
//! In: settings that can be read. Out: what the rooms are started with, read from its files once, or every mistake.
//! `surroundings` looks at what is around the daemon, for `check` alone.

mod database;
mod load;
#[cfg(test)]
mod mistake_snapshots;
mod surroundings;

use monitor_core::{
    config::{Config, Mistake, Mistakes},
    mail::notice::Notices,
    outage::Rules,
    relay::Relays,
};
use monitor_store::{Location, NotificationPolicy};

pub use self::{
    database::{DatabaseError, database},
    load::{Loaded, Presence, check, load, load_to_run, parse},
    surroundings::is_relay,
};
use crate::{
    notify::{Mail, Webhooks},
    page,
    peer::Identity,
    recovery::{signal::SignalSecret, snmp::Trust},
    relay::{GatewayKeys, Pop3},
    secret,
};

/// Everything that a configuration leads to.
pub struct Parts {
    /// Where outages and mails are kept.
    pub database: Location,
    /// What the outage machine decides by.
    pub rules: Rules,
    /// Which relays and operators are told, and how long letters live.
    pub policy: NotificationPolicy,
    /// How mails are worded and where they go.
    pub mail: Mail,
    /// Where notices are posted.
    pub webhooks: Webhooks,
    /// The gateway's server mail table.
    pub relays: Relays,
    /// At a relay: the gateways whose lists it takes.
    pub gateways: Vec<GatewayKeys>,
    /// Where mail for this Ringback itself is fetched, if it is.
    pub mailbox: Option<Pop3>,
    /// The stand-in page.
    pub page: page::PageInForce,
    /// Whose traps are believed.
    pub trust: Trust,
    /// What authenticates signals over HTTP.
    pub signal_secret: Option<SignalSecret>,
    /// Who this host is among its peers, if it has any.
    pub identity: Option<Identity>,
}

impl Parts {
    /// Reads the files that the configuration names. Connects to nothing, and makes no file.
    ///
    /// # Errors
    /// Every mistake.
    pub fn load(config: &Config) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let signal_secret = config
            .recovery
            .signal_secret_file
            .as_deref()
            .map(|file| SignalSecret::load(file).map_err(|error| error.at("recovery.signal_secret_file")));
        let signal_secret = mistakes.take(signal_secret.transpose());
        let trust = mistakes.take_all(Trust::load(&config.recovery));
        let mail = mistakes.take_all(Mail::load(&config.notify, &config.store.state_dir));
        let page = mistakes.take_all(page::PageInForce::load(config));
        let database = mistakes.take(database(config));
        let mailbox = mistakes.take_all(Pop3::load(&config.mailbox));
        let relays = mistakes.take_all(Relays::load(&config.relay, &secret::read));
        let gateways = mistakes.take_all(GatewayKeys::load(&config.gateway));
        let webhooks = mistakes.take_all(Webhooks::load(&config.webhook));
        let identity = mistakes.take_all(Identity::load(config));
        let notices = Notices::new(&config.notice);
        let parts = || {
            let relays = relays?;
            Some(Self {
                database: database?,
                rules: config.rules(),
                policy: NotificationPolicy::new(config.notify.lifetime, relays.clone(), notices),
                mail: mail?,
                webhooks: webhooks?,
                relays,
                gateways: gateways?,
                mailbox: mailbox?,
                page: page?,
                trust: trust?,
                signal_secret: signal_secret?,
                identity: identity?,
            })
        };
        mistakes.or(parts())
    }
}
