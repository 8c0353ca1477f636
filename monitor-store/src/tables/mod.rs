//! What is in the tables, and every transaction on them: the same SQL on every engine.

pub(super) mod address;
pub(super) mod book;
pub(super) mod changes;
pub(super) mod clock;
pub(super) mod closing;
mod columns;
pub(super) mod follow;
mod letters;
pub(super) mod lists;
pub(super) mod notices;
pub(super) mod outages;
pub(super) mod outbox;
pub(super) mod page;
pub(super) mod prune;
pub(super) mod questions;
pub(super) mod ready;
pub(super) mod services;
mod session;
pub(super) mod shared;
pub(super) mod snmp;
pub(super) mod spool;
pub(super) mod station;
mod waiting;

pub(super) use self::{book::BookCache, session::Session};
