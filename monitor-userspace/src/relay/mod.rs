//! Someone else tells the clients: the recovered server itself, or a management station (F-17, F-18).
//!
//! Gateway: a closing outage whose server has a relay becomes one signed `list` in the outbox (`issue`), in the closing's
//! own transaction. The relay's signed `receipt` comes back by mail; without one the gateway mails the clients itself.
//!
//! Relay (`ringback relay`): `pop3` fetches mails, `attachment` finds the list in them, `seal` and `list` check it, and
//! the `station` has it stored: outage, waiting clients, letters and receipt in one transaction. From there on it is the
//! gateway's own outbox. A mail is deleted from the mailbox only after that; what is refused is kept `aside`.

mod aside;
mod counters;
mod courier;
mod pop3;
mod station;

pub use self::{
    aside::Aside,
    counters::Counters,
    courier::{Courier, Fetched, Reader, Verdict, watch},
    pop3::{MailboxError, Pop3},
    station::{GatewayKeys, Receipts, Station},
};
