//! What of the page's settings a reload replaces.

use jiff::tz::TimeZone;
use monitor_core::{
    config::{Config, StandIn},
    domain::Language,
};

use super::{certificates::Certificates, document::Document};

/// See the module. Made anew, and then in force as a whole.
pub(super) struct InForce {
    pub(super) settings: StandIn,
    /// The frame around everything.
    pub(super) document: Document,
    pub(super) certificates: Certificates,
    /// Of clients that want neither.
    pub(super) language: Language,
    /// Of the local times beside UTC.
    pub(super) zone: TimeZone,
}

impl InForce {
    /// Reads the files that the configuration names. An error is the key below `standin`, and what is wrong.
    pub(super) fn load(settings: &StandIn, language: Language, zone: TimeZone) -> Result<Self, (String, String)> {
        Ok(Self {
            document: Document::load(settings.page_dir.as_deref()).map_err(|what| ("page_dir".to_owned(), what))?,
            certificates: Certificates::load(&settings.tls)?,
            settings: settings.clone(),
            language,
            zone,
        })
    }

    /// The same from a whole configuration and the system's time zone, with the whole key in the error.
    pub(super) fn of(config: &Config) -> anyhow::Result<Self> {
        Self::load(&config.standin, config.notify.language, TimeZone::system())
            .map_err(|(key, what)| anyhow::anyhow!("standin.{key}: {what}"))
    }
}
