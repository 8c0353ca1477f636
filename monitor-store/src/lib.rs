//! Durable state: one interface; behind it embedded SQLite, or PostgreSQL for several gateways.
//!
//! In: the machine's changes, deliveries' outcomes, the address book. Out: the same after any crash, and one outbox row
//! per person to be told. One writer takes what all tasks want written, commits it as one transaction with full
//! synchronisation, and only then answers. Reads go through connections of their own and never wait for the writer.

mod clock;
mod database;
mod error;
mod postgres;
mod readers;
mod records;
mod relay;
mod shared;
mod sql;
mod sqlite;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::{path::Path, time::Duration};

use monitor_core::{
    domain::{ClientAddr, ClientNet, OutageId, Service, UnixMs},
    mail::{AddressEntry, Letter, LetterId, Outcome, ReadyLetter},
    outage::{Change, Restored},
    snmp::{LocalEngine, RemoteEngine},
};

use self::{database::Database, relay::Telling};
pub use self::{
    database::Location,
    error::StoreError,
    postgres::Server,
    records::{Applied, DeadLetter, OutageRecord, OutboxCounts, WaitingClient},
    relay::{ListRecord, ListState, ReceiptOrder, RefusedMail, Taken, TakenList},
    shared::{Elsewhere, Following, Gateway, GatewayRecord, Spooled},
};

/// The handle that every task clones. The database is closed, and may be opened again, when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens or creates the database file at `path`: [`Store::at`].
    ///
    /// # Errors
    /// As there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::at(&path.into())
    }

    /// Opens the database, brings its schema up to date and starts the writer. Waits for a server.
    ///
    /// # Errors
    /// The file or the server cannot be used (each cause with its remedy), another process has the file, or a newer
    /// Ringback was there.
    pub fn at(location: &Location) -> Result<Self, StoreError> {
        let (store, absence) = Self::at_or_later(location)?;
        absence.map_or(Ok(store), Err)
    }

    /// [`Store::at`] for who goes on without the server: while it is out of reach, which the second value says, whatever is
    /// asked of it fails with [`StoreError::Unreachable`], and a connection is tried each time.
    ///
    /// # Errors
    /// As there, but for a server that may only be out of reach for now.
    pub fn at_or_later(location: &Location) -> Result<(Self, Option<StoreError>), StoreError> {
        let (database, absence) = Database::open(location)?;
        Ok((Self { database }, absence))
    }

    /// What the machine goes on from after a start.
    pub async fn restore(&self) -> Result<Restored, StoreError> {
        self.database.read(tables::outages::restore).await
    }

    /// Durable when it returns; all or nothing.
    ///
    /// An outage that has ended is never changed again: changes that come twice, as after a crash between the commit and
    /// its answer, write no second letter.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        self.apply_seen(changes, Vec::new()).await
    }

    /// [`Store::apply`], and in the same transaction what was seen of the SNMP engines that the changes came from.
    pub async fn apply_seen(&self, changes: Vec<Change>, seen: Vec<RemoteEngine>) -> Result<Applied, StoreError> {
        let mut telling = self.database.telling();
        let spools = self.database.spools() && !changes.is_empty();
        // The shared database's letters are the only ones.
        telling.silent = spools;
        let applied = self
            .database
            .write(move |session| {
                for engine in &seen {
                    tables::snmp::put_remote_engine(session.conn, engine)?;
                }
                if spools {
                    tables::spool::append(session.conn, &changes, clock::now())?;
                }
                tables::changes::apply(session, &changes, &telling)
            })
            .await;
        if spools {
            self.database.spooled().notify_one();
        }
        applied
    }

    /// How long an outbox row that is written from now on lives before it is a dead letter.
    pub fn set_letter_lifetime(&self, lifetime: Duration) {
        self.database.set_letter_lifetime(lifetime);
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
        self.database.read(tables::address::entries).await
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

    /// The client does not want to be told of the end of this outage (F-23).
    pub async fn decline(&self, outage: OutageId, client: ClientAddr, at: UnixMs) -> Result<(), StoreError> {
        self.database.write(move |session| tables::page::decline(session.conn, outage, client, at)).await
    }

    /// Puts what a client typed into the address book (F-24). An entry of another origin for the same client stays.
    pub async fn register(&self, outage: OutageId, client: ClientAddr, entry: AddressEntry) -> Result<(), StoreError> {
        self.database.write(move |session| tables::page::register(session, outage, client, &entry)).await
    }

    /// Removes this address wherever it was typed; says whether it is still in the book, by the operator's hand.
    pub async fn unsubscribe(&self, mail: String) -> Result<bool, StoreError> {
        self.database.write(move |session| tables::page::unsubscribe(session, &mail)).await
    }

    /// Deletes addresses that were typed before; says how many.
    pub async fn forget_typed(&self, before: UnixMs) -> Result<u64, StoreError> {
        self.database.write(move |session| tables::page::forget(session, before)).await
    }

    /// Writes letters that bring their own words, except those of a key that was written already; says how many. All or
    /// none.
    pub async fn put_letters(&self, letters: Vec<ReadyLetter>) -> Result<u64, StoreError> {
        let lifetime = self.database.telling().lifetime;
        self.database.write(move |session| tables::ready::put(session.conn, &letters, lifetime)).await
    }

    /// Up to `limit` letters that are due at `now`, oldest first; each is not given out again before `now + lease`.
    pub async fn take_due(&self, now: UnixMs, limit: u32, lease: Duration) -> Result<Vec<Letter>, StoreError> {
        let holder = self.database.holder();
        self.database.write(move |session| tables::outbox::take_due(session.conn, now, limit, lease, holder)).await
    }

    /// Keeps what became of these letters. An outcome for a letter that is not in the queue any more is ignored.
    pub async fn record(&self, outcomes: Vec<(LetterId, Outcome)>) -> Result<(), StoreError> {
        let holder = self.database.holder();
        self.database.write(move |session| tables::outbox::record(session.conn, &outcomes, holder)).await
    }

    /// Leases of an earlier process of this gateway end: called once at start.
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        let holder = self.database.holder();
        self.database.write(move |session| tables::outbox::release_leases(session.conn, holder)).await
    }

    /// Letters that were given out here are given to nobody else before `until`.
    pub async fn renew_leases(&self, until: UnixMs) -> Result<(), StoreError> {
        let holder = self.database.holder();
        self.database.write(move |session| tables::outbox::renew_leases(session.conn, until, holder)).await
    }

    /// When the next letter is due.
    pub async fn next_due(&self) -> Result<Option<UnixMs>, StoreError> {
        self.database.read(tables::outbox::next_due).await
    }

    /// The outbox in numbers; costs the same however many letters there are.
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        self.database.read(tables::outbox::counts).await
    }

    /// Letters that were given up, latest first.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.database.read(move |conn| tables::outbox::dead_letters(conn, limit)).await
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

    /// Our SNMP engine (RFC 3414 section 2.2) with `boots` raised by one; the id is made at first use.
    pub async fn start_engine(&self) -> Result<LocalEngine, StoreError> {
        self.database.write(|session| tables::snmp::start_engine(session.conn)).await
    }

    /// Every sending engine that was kept.
    pub async fn remote_engines(&self) -> Result<Vec<RemoteEngine>, StoreError> {
        self.database.read(tables::snmp::remote_engines).await
    }

    /// Deletes ended outages, delivered and dead letters older than `before`. An outage that a letter speaks of stays as
    /// long as the letter.
    pub async fn prune(&self, before: UnixMs) -> Result<(), StoreError> {
        // In bites, each a transaction of its own: a recovery must not wait while last month's letters are deleted.
        while self.database.write(move |session| tables::prune::letters(session.conn, before)).await? > 0 {}
        self.database.write(move |session| tables::prune::outages(session.conn, before)).await
    }
}
