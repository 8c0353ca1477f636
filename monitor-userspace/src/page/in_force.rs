//! What of the page's settings a reload replaces.

use jiff::tz::TimeZone;
use monitor_core::{
    config::{Config, Mistake, Mistakes, StandIn},
    domain::Language,
};

use super::{certificates::Certificates, document::Document, host_header};

/// See the module. Made anew, and then in force as a whole.
pub struct PageInForce {
    pub(super) settings: StandIn,
    /// The frame around everything.
    pub(super) document: Document,
    pub(super) certificates: Certificates,
    /// Of clients that want neither.
    pub(super) language: Language,
    /// Of the local times beside UTC.
    pub(super) zone: TimeZone,
}

impl PageInForce {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// Every mistake in what only the page understands.
    pub fn load(config: &Config) -> Result<Self, Vec<Mistake>> {
        let (mut mistakes, settings) = (Mistakes::default(), &config.standin);
        mistakes.take(settings.own_url.as_deref().map_or(Ok(()), host_header::origin));
        let document = mistakes.take(Document::load(settings.page_dir.as_deref()));
        let certificates = mistakes.take_all(Certificates::load(&settings.tls));
        let in_force = || {
            Some(Self {
                document: document?,
                certificates: certificates?,
                settings: settings.clone(),
                language: config.notify.language,
                zone: TimeZone::system(),
            })
        };
        mistakes.or(in_force())
    }
}
