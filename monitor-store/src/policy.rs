//! What a transaction that writes letters goes by.

use std::{sync::Arc, time::Duration};

use monitor_core::{config, mail::notice::Notices, relay::Relays};

/// Who is told, and by whom, when something happens. It is replaced as a whole.
#[derive(Clone, Debug)]
pub struct NotificationPolicy {
    /// How long a letter is tried before it is a dead one.
    pub(super) lifetime: Duration,
    /// Whether no letter is written here, because another database tells the clients.
    pub(super) silent: bool,
    pub(super) relays: Arc<Relays>,
    pub(super) notices: Arc<Notices>,
}

impl NotificationPolicy {
    /// Letters live for `lifetime`; relays tell the clients of their servers, and operators get notices.
    #[must_use]
    pub fn new(lifetime: Duration, relays: Relays, notices: Notices) -> Self {
        Self { lifetime, silent: false, relays: Arc::new(relays), notices: Arc::new(notices) }
    }

    /// The same for other operators.
    #[must_use]
    pub fn with_notices(&self, notices: Notices) -> Self {
        Self { notices: Arc::new(notices), ..self.clone() }
    }
}

impl Default for NotificationPolicy {
    fn default() -> Self {
        Self::new(config::Notify::default().lifetime, Relays::default(), Notices::default())
    }
}
