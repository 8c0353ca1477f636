//! What a reload (SIGHUP) replaces, each part as a whole: settings, page, webhooks, notices, and the test mail's delivery.
//!
//! In: the configuration's file, read again. Out: snapshots for the rooms that work by them. What is bound or connected
//! (listeners, mail server, store) keeps its settings until a restart.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use monitor_core::{
    config::Config,
    domain::UnixMs,
    mail::{AddressEntry, UnsubscribeLinks, notice::Notices},
    port::Policy,
};
use monitor_store::{NotificationPolicy, Store};
use tokio::sync::watch;

use crate::{
    clock::Now as _,
    notify::{Delivery, Mail, Webhooks},
    page,
    parts::{self, Loaded, Presence},
    port::CoreHandle,
};

/// See the module.
pub(super) struct InForce {
    path: PathBuf,
    config: Config,
    policy: NotificationPolicy,
    webhooks: watch::Sender<Webhooks>,
    page: watch::Sender<Arc<page::PageInForce>>,
    test_mails: watch::Sender<Arc<Delivery>>,
}

impl InForce {
    /// From now on what was loaded from `path` is in force. The second value delivers the letters of the outbox.
    ///
    /// # Errors
    /// The links at the end of letters need a key that cannot be read or made.
    pub(super) fn start(
        path: PathBuf,
        config: &Config,
        policy: NotificationPolicy,
        mail: Mail,
        webhooks: Webhooks,
        page: page::PageInForce,
    ) -> Result<(Self, Arc<Delivery>)> {
        mail.log_remarks();
        let (webhooks, webhooks_now) = watch::channel(webhooks);
        let delivery = Arc::new(Delivery::new(mail, links(config)?, webhooks_now));
        let in_force = Self {
            path,
            config: config.clone(),
            policy,
            webhooks,
            page: watch::channel(Arc::new(page)).0,
            test_mails: watch::channel(Arc::new(delivery.for_tests())).0,
        };
        Ok((in_force, delivery))
    }

    /// The page's part.
    pub(super) fn page(&self) -> watch::Receiver<Arc<page::PageInForce>> {
        self.page.subscribe()
    }

    /// What test mails are delivered by.
    pub(super) fn test_mails(&self) -> watch::Receiver<Arc<Delivery>> {
        self.test_mails.subscribe()
    }

    /// The file's configuration comes into force whole, or the old one stays.
    pub(super) async fn reload(&mut self, core: &CoreHandle, store: &Store) -> Result<()> {
        let presence = if self.config == Config::default() { Presence::Optional } else { Presence::Required };
        let Loaded { config, parts } = parts::load(&self.path, presence)?;
        if config.guard != self.config.guard {
            tracing::warn!("guards have changed in the configuration; those in force stay until a restart");
        }
        // Before the core, which reads them.
        store.replace_config_addresses(AddressEntry::of_config(&config.address, UnixMs::now())).await?;
        core.reload(Policy { rules: config.rules(), watch: config.watch.clone() }).await?;
        store.replace_policy(self.policy.with_notices(Notices::new(&config.notice)));
        // Also where only a secret or a certificate has changed.
        self.webhooks.send_replace(parts.webhooks);
        parts.mail.log_remarks();
        let delivery = Delivery::new(parts.mail, None, self.webhooks.subscribe());
        self.test_mails.send_replace(Arc::new(delivery));
        self.page.send_replace(Arc::new(parts.page));
        self.config = config;
        Ok(())
    }
}

/// To the stand-in page, for addresses that were typed there.
fn links(config: &Config) -> Result<Option<UnsubscribeLinks>> {
    let Some(own_url) = config.standin.own_url.as_ref().filter(|_| config.standin.enabled) else { return Ok(None) };
    let links = page::Links::new(own_url, &config.store.state_dir).context("the key of the stand-in page")?;
    Ok(Some(UnsubscribeLinks::new(move |mail| links.of(mail))))
}
