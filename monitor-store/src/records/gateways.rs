//! Gateways that share a database, and what they hand on to each other.

use monitor_core::{
    domain::{OutageId, UnixMs},
    outage::{Change, Outage, Question},
};
use serde::{Deserialize, Serialize};

/// One of the gateways that share a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Made once, with the gateway's own file: another file is another gateway.
    pub name: String,
    /// Its host's name, for people.
    pub host: String,
}

/// What has happened at other gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// Open outages that this gateway has never reported.
    pub opened: Vec<Outage>,
    /// Outages of this gateway that are over.
    pub ended: Vec<Elsewhere>,
    /// A number that changes with each change of the address book.
    pub book: i64,
    /// Questions of other gateways that nobody has answered, by number.
    pub asked: Vec<(i64, Question)>,
    /// Questions of this gateway that another one has answered, and up to when the service was well.
    pub answered: Vec<(Question, UnixMs)>,
}

/// The end of an outage that one of the gateways has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// By the number that this gateway gave it.
    pub outage: OutageId,
    /// When it ended.
    pub ended: UnixMs,
}

/// A gateway in `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRecord {
    /// See [`Gateway::name`].
    pub name: String,
    /// Its host's name.
    pub host: String,
    /// The number of its latest batch that is in the database.
    pub applied: u64,
    /// When it was last seen.
    pub seen: UnixMs,
}

/// A batch of changes that is to be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// Ascending, by gateway.
    pub number: i64,
    /// In the gateway's own numbers of outages.
    pub changes: Vec<Change>,
}
