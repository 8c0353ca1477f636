//! What is failed at this moment, as the page shows it.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use monitor_common::{STAND_IN_PORT, STAND_IN_TLS_PORT};
use monitor_core::{
    domain::{OutageId, Service, UnixMs},
    outage::Phase,
};
use monitor_store::{OutageRecord, Store, StoreError};
use tokio::sync::watch;

/// Outages that are looked through.
const MOST: u32 = 10_000;

/// A failed server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) outage: OutageId,
    pub(super) service: Service,
    pub(super) since: UnixMs,
    /// By reverse DNS, once it was looked up.
    pub(super) name: Option<String>,
}

impl Failed {
    /// The scheme of its URLs.
    pub(super) fn scheme(&self) -> &'static str {
        if self.service.port() == STAND_IN_TLS_PORT { "https" } else { "http" }
    }

    /// `www.example.net (192.0.2.7)`, or the plain address.
    pub(super) fn server(&self) -> String {
        let addr = self.service.addr();
        match &self.name {
            Some(name) => format!("{} ({addr})", name.trim_end_matches('.')),
            None => addr.to_string(),
        }
    }
}

/// A copy of the open outages of HTTP servers, a fraction of a second old. Clones share it.
#[derive(Clone)]
pub(super) struct View(Arc<watch::Sender<HashMap<OutageId, Failed>>>);

impl View {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(HashMap::new())))
    }

    /// Reads it again.
    pub(super) async fn look(&self, store: &Store, over_tls: impl Fn(IpAddr) -> bool) -> Result<(), StoreError> {
        let now: HashMap<_, _> = store
            .outages(false, MOST)
            .await?
            .into_iter()
            .filter_map(|record| failed(record, &over_tls))
            .map(|failed| (failed.outage, failed))
            .collect();
        self.0.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Begin of the oldest outage that goes on.
    pub(super) fn oldest(&self) -> Option<UnixMs> {
        self.0.borrow().values().map(|failed| failed.since).min()
    }

    pub(super) fn outage(&self, outage: OutageId) -> Option<Failed> {
        self.0.borrow().get(&outage).cloned()
    }

    pub(super) fn service(&self, service: Service) -> Option<Failed> {
        self.0.borrow().values().find(|failed| failed.service == service).cloned()
    }

    /// Returns when the outage is over.
    pub(super) async fn until_over(&self, outage: OutageId) {
        let mut changes = self.0.subscribe();
        // The sender lives as long as this view.
        let _ = changes.wait_for(|failed| !failed.contains_key(&outage)).await;
    }
}

/// One that is settling is not marked in the kernel: new connections go to the server.
fn failed(record: OutageRecord, over_tls: impl Fn(IpAddr) -> bool) -> Option<Failed> {
    let outage = record.outage;
    let stood_in_for = match outage.service.port() {
        STAND_IN_PORT => true,
        STAND_IN_TLS_PORT => over_tls(outage.service.addr()),
        _ => false,
    };
    let shown = stood_in_for && outage.phase == Phase::Open;
    shown.then_some(Failed {
        outage: outage.id,
        service: outage.service,
        since: outage.since,
        name: record.server_name,
    })
}
