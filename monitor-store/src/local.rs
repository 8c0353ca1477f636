//! The database that one process commits to: the outage machine's changes, its SNMP engines and, in front of a shared
//! database, the spool.
//!
//! A gateway that shares a database has a file of its own in front of it. Any other gateway, and a relay, has only this
//! one.

use std::{collections::HashMap, path::Path, sync::Arc};

use monitor_core::{
    domain::{ClockOffset, ClockReading, ClockStep, SteadyClock, UnixMs},
    mail::AddressEntry,
    outage::{Change, Restored},
    snmp::{LocalEngine, RemoteEngine},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;

use crate::{
    Applied, Batch, Gateway, Location, NotificationPolicy, ReadUpTo, Spooled, Store, StoreError, clock, tables,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct LocalStore {
    store: Store,
    /// Woken when something was spooled; `None`: there is no database to share with.
    spooled: Option<Arc<Notify>>,
}

impl LocalStore {
    /// The file of a process that shares nothing, with the default policy; made if it is not there.
    ///
    /// # Errors
    /// See [`Store::at`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::at(&path.into(), NotificationPolicy::default())
    }

    /// The same for any database and policy.
    ///
    /// # Errors
    /// See [`Store::at`].
    pub fn at(location: &Location, policy: NotificationPolicy) -> Result<Self, StoreError> {
        Store::at(location, policy).map(Self::of)
    }

    pub(crate) const fn of(store: Store) -> Self {
        Self { store, spooled: None }
    }

    /// The file of a gateway that shares another database. What is applied here is kept for that one as well, in the
    /// same transaction, and tells nobody.
    ///
    /// # Errors
    /// See [`Store::at`].
    pub fn open_spooling(path: &Path) -> Result<Self, StoreError> {
        Self::open(path).map(Self::spooling)
    }

    pub(crate) fn spooling(self) -> Self {
        Self { spooled: Some(Arc::default()), ..self }
    }

    /// What it holds as every database does.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// What the machine goes on from after a start.
    pub async fn restore(&self) -> Result<Restored, StoreError> {
        self.store.database.read(tables::outages::restore).await
    }

    /// Durable when it returns; all or nothing.
    ///
    /// An outage that has ended is never changed again: changes that come twice, as after a crash between the commit
    /// and its answer, write no second letter.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        self.apply_batch(Batch { changes, ..Batch::default() }).await
    }

    /// [`LocalStore::apply`], and in the same transaction what says that the batch was taken.
    pub async fn apply_batch(&self, batch: Batch) -> Result<Applied, StoreError> {
        let Batch { changes, seen, read } = batch;
        let spooled = self.spooled.as_ref().filter(|_| !changes.is_empty());
        let mut policy = self.store.database.policy();
        // The shared database's letters are the only ones.
        policy.silent = spooled.is_some();
        let spools = spooled.is_some();
        let applied = self
            .store
            .database
            .write(move |session| {
                for engine in &seen {
                    tables::snmp::put_remote_engine(session.conn, engine)?;
                }
                if let Some(read) = read {
                    tables::outages::set_read(session.conn, read)?;
                }
                if spools {
                    tables::spool::append(session.conn, &changes, clock::now())?;
                }
                tables::changes::apply(session, &changes, &policy)
            })
            .await;
        if let Some(spooled) = spooled {
            spooled.notify_one();
        }
        applied
    }

    /// Goes on with the clock that times are noted by, or begins it. A step of the wall clock moves all that was noted in this
    /// boot, in one transaction, in which `adopt` is called: no time of before is written after it. If that fails, the clock
    /// of before counts. Not for a gateway that shares a database: the others' times would not move with it.
    pub async fn keep_clock(
        &self,
        reading: ClockReading,
        adopt: impl Fn(ClockOffset) + Send + 'static,
    ) -> Result<(SteadyClock, Option<ClockStep>), StoreError> {
        self.store
            .database
            .write(move |session| {
                let (clock, step) = tables::clock::keep(session.conn, &reading)?;
                adopt(clock.ahead);
                Ok((clock, step))
            })
            .await
    }

    /// Up to where the kernel's reports are in this database.
    pub async fn read_up_to(&self) -> Result<Option<ReadUpTo>, StoreError> {
        self.store.database.read(tables::outages::read_up_to).await
    }

    /// Our SNMP engine (RFC 3414 section 2.2) with `boots` raised by one; the id is made at first use.
    pub async fn start_engine(&self) -> Result<LocalEngine, StoreError> {
        self.store.database.write(|session| tables::snmp::start_engine(session.conn)).await
    }

    /// Every sending engine that was kept.
    pub async fn remote_engines(&self) -> Result<Vec<RemoteEngine>, StoreError> {
        self.store.database.read(tables::snmp::remote_engines).await
    }

    /// Who this gateway is: a name that was made with the file.
    pub async fn gateway(&self, host: String) -> Result<Gateway, StoreError> {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| StoreError::Random)?;
        let new = random.map(|byte| format!("{byte:02x}")).concat();
        let name = self.store.database.write(move |session| tables::spool::name(session.conn, &new)).await?;
        Ok(Gateway { name, host })
    }

    /// Returns when something was spooled since the last time; never, if nothing is shared.
    pub async fn spooled(&self) {
        match &self.spooled {
            Some(spooled) => spooled.notified().await,
            None => std::future::pending().await,
        }
    }

    /// What is to be shared, oldest first.
    pub async fn to_share(&self, limit: u32) -> Result<Vec<Spooled>, StoreError> {
        self.store.database.read(move |conn| tables::spool::oldest(conn, limit)).await
    }

    /// It is shared.
    pub async fn was_shared(&self, up_to: i64) -> Result<(), StoreError> {
        self.store.database.write(move |session| tables::spool::forget(session.conn, up_to)).await
    }

    /// How many batches are to be shared, and since when.
    pub async fn spool_length(&self) -> Result<(u64, Option<UnixMs>), StoreError> {
        self.store.database.read(tables::spool::length).await
    }

    /// Makes this gateway's own copy of the address book the same as `entries`, by the fewest changes. It is read while
    /// the shared one is out of reach, and nobody is told by it.
    pub async fn copy_addresses(&self, entries: &[AddressEntry]) -> Result<(), StoreError> {
        let own = self.store.addresses().await?;
        let mut own: HashMap<_, _> = own.into_iter().map(|entry| (entry.client, entry)).collect();
        let changed: Vec<_> =
            entries.iter().filter(|entry| own.remove(&entry.client).as_ref() != Some(*entry)).cloned().collect();
        for client in own.into_keys() {
            self.store.remove_address(client).await?;
        }
        if changed.is_empty() { Ok(()) } else { self.store.put_addresses(changed).await }
    }
}
