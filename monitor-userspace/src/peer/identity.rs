//! Who this host is among its peers: its name, and the secret that all of them share.

use monitor_core::{
    config::{Config, Mistake, Mistakes, host_name, name_taken},
    heartbeat::wire::Secret,
};

use crate::{host, secret};

/// Fewest characters of the secret: whoever knows it may speak for any of the hosts.
const SHORTEST_SECRET: usize = 16;

/// See the module.
pub struct Identity {
    pub(super) name: String,
    pub(super) secret: Secret,
}

impl Identity {
    /// `None`: no heartbeats are exchanged.
    ///
    /// # Errors
    /// Every mistake in the name and in the secret.
    pub fn load(config: &Config) -> Result<Option<Self>, Vec<Mistake>> {
        if !config.has_heartbeats() {
            return Ok(None);
        }
        let mut mistakes = Mistakes::default();
        let name = config.heartbeat.own_name(&host::name());
        if config.heartbeat.name.is_none() {
            mistakes.take(host_name(&name).map_err(|error| error.at("heartbeat.name")));
            let same = config.peer.iter().position(|peer| peer.name == name);
            mistakes.extend(same.map(|index| name_taken(index, &name)));
        }
        let secret = config
            .heartbeat
            .secret_file
            .as_deref()
            .map(|file| secret::read(file, SHORTEST_SECRET).map_err(|error| error.at("heartbeat.secret_file")));
        let secret = mistakes.take(secret.transpose());
        let identity = |text: String| Self { name, secret: Secret::new(text.trim_end().as_bytes()) };
        mistakes.or(secret.map(|text| text.filter(|_| !config.peer.is_empty()).map(identity)))
    }
}
