//! Where the daemon keeps what it knows: its own file, or a database that gateways share and a file in front of it.
//!
//! In: the configuration. Out: stores that are open and have the address book; for a shared database that is out of reach, why,
//! and what is to be done there later.

use anyhow::{Context as _, Result};
use monitor_core::{config::Config, domain::UnixMs};
use monitor_store::{Gateway, LocalStore, Location, NotificationPolicy, Outbox, SharedStore, Store};

use super::{
    HISTORY,
    replication::{self, SettleIn},
};
use crate::clock::{self, Now as _};

/// See the module.
pub(super) struct Stores {
    /// What everybody reads and writes: the shared database, where there is one.
    pub(super) store: Store,
    /// Where the core commits: of several gateways each in a file of its own first.
    pub(super) local: LocalStore,
    /// The letters to be delivered.
    pub(super) outbox: Outbox,
    /// The shared database, and this gateway among those that share it.
    pub(super) shared: Option<(SharedStore, Gateway)>,
    /// Since when the shared database is out of reach, and why.
    pub(super) cut_off: Option<(UnixMs, String)>,
    /// What is still to be done there.
    pub(super) arrival: Option<SettleIn>,
}

impl Stores {
    /// Opens them. A shared database that is out of reach is no error: its gateway watches all the same.
    pub(super) async fn open(config: &Config, database: &Location, policy: NotificationPolicy) -> Result<Self> {
        let Location::File(_) = database else { return Self::open_shared(config, database, policy).await };
        let local = LocalStore::at(database, policy)?;
        clock::begin(&local).await.context("reading the clock")?;
        let store = local.store().clone();
        SettleIn::of(config).settle_in(&store, None).await?;
        Ok(Self { outbox: store.outbox(), store, local, shared: None, cut_off: None, arrival: None })
    }

    async fn open_shared(config: &Config, database: &Location, policy: NotificationPolicy) -> Result<Self> {
        let (shared, absence) = SharedStore::at_or_later(database, policy)?;
        let local = LocalStore::open_spooling(&config.spool())?;
        let gateway = local.gateway(replication::host_name()).await.context("reading this gateway's name")?;
        local.store().prune(UnixMs::now().before(HISTORY)).await.context("forgetting old outages")?;
        let store = shared.store().clone();
        let arrival = SettleIn::of(config);
        let arrived = match absence {
            Some(error) => Err(error.into()),
            None => arrival.settle_in(&store, Some(local.store())).await,
        };
        let outbox = shared.outbox(&gateway, config.store.lease);
        let mut stores = Self { store, local, outbox, shared: Some((shared, gateway)), cut_off: None, arrival: None };
        // What comes after the connection is no reason either not to watch: the reason is in `status` until it is gone.
        if let Err(error) = arrived {
            let said = replication::reason(&error);
            tracing::error!("started without the shared database; what happens is kept here until it is there: {said}");
            let addresses = arrival.addresses.clone();
            stores.local.store().replace_config_addresses(addresses).await.context("writing the address book")?;
            stores.cut_off = Some((UnixMs::now(), said));
            stores.arrival = Some(arrival);
        }
        Ok(stores)
    }
}
