//! Where the daemon keeps what it knows: its own file, or a database that gateways share and a file in front of it.
//!
//! In: the configuration. Out: stores that are open and have the address book; for a shared database that is out of reach, why,
//! and what is to be done there later.

use anyhow::{Context as _, Result};
use monitor_core::{config::Config, domain::UnixMs, mail::AddressEntry};
use monitor_store::{Gateway, Location, Store};

use super::{
    HISTORY,
    share::{self, Arrival},
};
use crate::{clock::Now as _, parts};

/// See the module.
pub(super) struct Stores {
    /// What everybody reads and writes: the shared database, where there is one.
    pub(super) store: Store,
    /// Where the core commits: of several gateways each in a file of its own first.
    pub(super) local: Store,
    /// This gateway among those that share the database.
    pub(super) gateway: Option<Gateway>,
    /// Since when the shared database is out of reach, and why.
    pub(super) cut_off: Option<(UnixMs, String)>,
    /// What is still to be done there.
    pub(super) arrival: Option<Arrival>,
}

impl Stores {
    /// Opens them. A shared database that is out of reach is no error: its gateway watches all the same.
    pub(super) async fn open(config: &Config) -> Result<Self> {
        let database = parts::database(config).map_err(anyhow::Error::msg)?;
        let (store, absence) = Store::at_or_later(&database)?;
        let (local, gateway) = match database {
            Location::File(_) => (store.clone(), None),
            Location::Server(_) => {
                let local = Store::open(&config.spool())?;
                local.spool();
                let gateway = local.gateway(share::host_name()).await.context("reading this gateway's name")?;
                store.deliver_as(&gateway, config.store.lease);
                local.prune(UnixMs::now().before(HISTORY)).await.context("forgetting old outages")?;
                (local, Some(gateway))
            }
        };
        store.set_letter_lifetime(config.notify.lifetime);
        let arrival = Arrival { addresses: AddressEntry::of_config(&config.address, UnixMs::now()), history: HISTORY };
        let arrived = match absence {
            Some(error) => Err(error.into()),
            None => arrival.settle_in(&store, gateway.is_some().then_some(&local)).await,
        };
        match arrived {
            Ok(()) => Ok(Self { store, local, gateway, cut_off: None, arrival: None }),
            // What comes after the connection is no reason either not to watch: the reason is in `status` until it is gone.
            Err(error) if gateway.is_some() => {
                let said = share::reason(&error);
                tracing::error!(
                    "started without the shared database; what happens is kept here until it is there: {said}"
                );
                local.replace_config_addresses(arrival.addresses.clone()).await.context("writing the address book")?;
                Ok(Self { store, local, gateway, cut_off: Some((UnixMs::now(), said)), arrival: Some(arrival) })
            }
            Err(error) => Err(error),
        }
    }
}
