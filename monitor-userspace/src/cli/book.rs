//! The address book behind `ringback address`: the daemon's, or the store itself while no daemon runs.

use monitor_core::domain::{ClientNet, UnixMs};
use monitor_store::{NotificationPolicy, Store};

use super::{Context, Failure};
use crate::{
    clock::Now as _,
    control::{AddressLine, Client, ClientError},
};

/// See the module.
pub(super) enum Book {
    Daemon(Client),
    Store(Store),
}

/// Which piece of an address list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// All of it: a line or two.
    Whole,
    /// Others follow at once.
    More,
    /// Of an import; no other follows.
    Last,
}

impl Book {
    /// A file lets in one process at a time: a daemon that does not answer but runs is named by the error.
    pub(super) async fn open(context: &Context) -> Result<Self, Failure> {
        let client = context.client()?;
        if client.is_answered().await {
            return Ok(Self::Daemon(client));
        }
        let database = context.loaded()?.parts.database;
        let store =
            Store::at(&database, NotificationPolicy::default()).map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Self::Store(store))
    }

    /// The same for a book of any length.
    pub(super) fn patient(self) -> Self {
        match self {
            Self::Daemon(client) => Self::Daemon(client.patient()),
            store @ Self::Store(_) => store,
        }
    }

    pub(super) async fn lines(&self) -> Result<Vec<AddressLine>, Failure> {
        match self {
            Self::Daemon(client) => Ok(client.get("/v1/addresses").await?),
            Self::Store(store) => {
                let entries = store.addresses().await.map_err(anyhow::Error::from)?;
                Ok(entries.into_iter().map(AddressLine::from).collect())
            }
        }
    }

    /// All lines or none; returns how many.
    pub(super) async fn put(&self, lines: Vec<AddressLine>, piece: Piece) -> Result<usize, Failure> {
        match self {
            Self::Daemon(client) => {
                let path = if piece == Piece::More { "/v1/addresses?more=true" } else { "/v1/addresses" };
                // The last piece waits until the core has read the whole book.
                let client = if piece == Piece::Whole { client.clone() } else { client.clone().patient() };
                Ok(client.post(path, &lines).await?)
            }
            Self::Store(store) => {
                let entries = AddressLine::entries(lines, UnixMs::now()).map_err(Failure::usage)?;
                let count = entries.len();
                store.put_addresses(entries).await.map_err(anyhow::Error::from)?;
                Ok(count)
            }
        }
    }

    pub(super) async fn remove(&self, net: ClientNet) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => {
                let _: bool = client.delete(&format!("/v1/addresses/{net}")).await?;
            }
            Self::Store(store) => {
                if !store.remove_address(net).await.map_err(anyhow::Error::from)? {
                    return Err(ClientError::Refused(AddressLine::absent(net)).into());
                }
            }
        }
        Ok(())
    }
}
