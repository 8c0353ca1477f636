//! What every database holds: outages and waiting lists, learned services, the address book.

use std::path::Path;

use monitor_core::{
    domain::{ClientAddr, ClientNet, OutageId, Service, UnixMs},
    mail::{AddressEntry, ReadyLetter},
};

use crate::{
    Location, NotificationPolicy, OutageRecord, Outbox, StoreError, WaitingClient, database::Database, tables,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) database: Database,
}

impl Store {
    /// Opens or creates the database file at `path`, with the default policy: [`Store::at`].
    ///
    /// # Errors
    /// As there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::at(&path.into(), NotificationPolicy::default())
    }

    /// Opens the database, brings its schema up to date and starts the writer. Waits for a server. Letters are written
    /// by `policy`, until [`Store::replace_policy`].
    ///
    /// # Errors
    /// The file or the server cannot be used (each cause with its remedy), another process has the file, or a newer
    /// Ringback was there.
    pub fn at(location: &Location, policy: NotificationPolicy) -> Result<Self, StoreError> {
        let (store, absence) = Self::at_or_later(location, policy)?;
        absence.map_or(Ok(store), Err)
    }

    /// [`Store::at`] for a caller that goes on without the server: while it is out of reach, which the second value
    /// says, every call fails with [`StoreError::Unreachable`] after it has tried to connect.
    ///
    /// # Errors
    /// As there, except for a server that may only be out of reach for now.
    pub fn at_or_later(
        location: &Location,
        policy: NotificationPolicy,
    ) -> Result<(Self, Option<StoreError>), StoreError> {
        let (database, absence) = Database::open(location, policy)?;
        Ok((Self { database }, absence))
    }

    /// The letters to be delivered, for the one process that delivers them.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::alone(self.database.clone())
    }

    /// Whether it is on a server, where other processes may write too.
    #[must_use]
    pub fn is_on_server(&self) -> bool {
        self.database.is_on_server()
    }

    /// Keeps the server's name for lists and letters (F-16).
    pub async fn set_server_name(&self, outage: OutageId, name: String) -> Result<(), StoreError> {
        self.database.write(move |session| tables::outages::set_server_name(session.conn, outage, &name)).await
    }

    /// Learned services (design rule 3) and when each last answered.
    pub async fn learn(&self, services: Vec<(Service, UnixMs)>) -> Result<(), StoreError> {
        self.database.write(move |session| tables::services::learn(session.conn, &services)).await
    }

    /// Forgets the services whose last answer is older; says how many.
    pub async fn forget_services(&self, answered_before: UnixMs) -> Result<u64, StoreError> {
        self.database.write(move |session| tables::services::forget(session.conn, answered_before)).await
    }

    /// Every learned service with its last answer, latest first.
    pub async fn learned_services(&self) -> Result<Vec<(Service, UnixMs)>, StoreError> {
        self.database.read(tables::services::learned).await
    }

    /// The address book, by network.
    pub async fn addresses(&self) -> Result<Vec<AddressEntry>, StoreError> {
        self.database.read(tables::book::entries).await
    }

    /// Inserts or replaces these entries, all or none.
    pub async fn put_addresses(&self, entries: Vec<AddressEntry>) -> Result<(), StoreError> {
        self.database.write(move |session| tables::address::put(session, &entries)).await
    }

    /// Replaces every entry of origin `Config` by these; an entry of another origin for the same network stays and
    /// counts.
    pub async fn replace_config_addresses(&self, entries: Vec<AddressEntry>) -> Result<(), StoreError> {
        self.database.write(move |session| tables::address::replace_config(session, &entries)).await
    }

    /// Removes the entry of exactly this network, of whatever origin; says whether there was one.
    pub async fn remove_address(&self, client: ClientNet) -> Result<bool, StoreError> {
        self.database.write(move |session| tables::address::remove(session, client)).await
    }

    /// Writes letters that bring their own words, except those with a key that was written already; says how many. All
    /// or none.
    pub async fn put_letters(&self, letters: Vec<ReadyLetter>) -> Result<u64, StoreError> {
        let lifetime = self.database.policy().lifetime;
        self.database.write(move |session| tables::ready::put(session.conn, &letters, lifetime)).await
    }

    /// Outages, latest first; `ended`: also those that are over.
    pub async fn outages(&self, ended: bool, limit: u32) -> Result<Vec<OutageRecord>, StoreError> {
        self.database.read(move |conn| tables::outages::list(conn, ended, limit)).await
    }

    /// The outage of this service that goes on.
    pub async fn open_outage(&self, service: Service) -> Result<Option<OutageId>, StoreError> {
        self.database.read(move |conn| tables::outages::open_of(conn, service)).await
    }

    /// Waiting clients of one outage or of all, by outage and address.
    pub async fn waiting(&self, outage: Option<OutageId>, limit: u32) -> Result<Vec<WaitingClient>, StoreError> {
        self.database.read(move |conn| tables::outages::waiting(conn, outage, limit)).await
    }

    /// Whether this client waits for the end of this outage.
    pub async fn is_waiting(&self, outage: OutageId, client: ClientAddr) -> Result<bool, StoreError> {
        self.database.read(move |conn| tables::outages::is_waiting(conn, outage, client)).await
    }

    /// Deletes ended outages, delivered and dead letters older than `before`. An outage that a letter speaks of stays
    /// as long as the letter.
    pub async fn prune(&self, before: UnixMs) -> Result<(), StoreError> {
        // In bites, each a transaction of its own: a recovery must not wait while last month's letters are deleted.
        while self.database.write(move |session| tables::prune::letters(session.conn, before)).await? > 0 {}
        self.database.write(move |session| tables::prune::outages(session.conn, before)).await
    }

    /// Deletes what was only suspected before then and came to nothing.
    pub async fn forget_suspicions(&self, before: UnixMs) -> Result<(), StoreError> {
        self.database.write(move |session| tables::prune::suspicions(session.conn, before)).await
    }
}
