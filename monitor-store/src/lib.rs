//! Durable state, in embedded SQLite or, for several gateways, in PostgreSQL.
//!
//! In: the machine's changes, deliveries' outcomes, the address book. Out: the same after any crash, and one letter in
//! the outbox for each person to be told. It decides nothing and words nothing: whom a recovery tells, and in which
//! words, are functions of the core.
//!
//! One writer takes what all tasks want written, commits it as one transaction with full synchronisation, and only then
//! answers. Reads go through connections of their own and never wait for the writer.
//!
//! Each task gets the type that it needs. [`Store`] is what every database holds. [`LocalStore`] is the database that
//! one process commits to, [`SharedStore`] the one that several gateways share, [`Outbox`] the letters to be delivered.
//! All of them are handles that every task clones; a database is closed when the last one is dropped.

pub mod clock;
mod database;
mod engine;
mod error;
mod local;
mod location;
mod outbox;
mod page;
mod policy;
mod postgres;
mod readers;
mod records;
mod relay;
mod shared;
mod sql;
mod sqlite;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use self::{
    error::StoreError,
    local::LocalStore,
    location::Location,
    outbox::Outbox,
    policy::NotificationPolicy,
    postgres::{Server, UrlError},
    records::{
        Applied, Batch, DeadLetter, Elsewhere, Following, Gateway, GatewayRecord, ListRecord, ListState, OutageRecord,
        OutboxCounts, ReadUpTo, ReceiptOrder, RefusedMail, Spooled, Taken, TakenList, WaitingClient,
    },
    shared::SharedStore,
    store::Store,
};
