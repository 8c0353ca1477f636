//! Someone else tells the clients: the recovered server itself, or a management station (F-17, F-18).
//!
//! Gateway: a closing outage whose server has a relay becomes one signed list in the outbox, in the closing's own
//! transaction. The relay's signed receipt comes back by mail; without one the gateway mails the clients itself.
//!
//! Relay (`ringback relay`): the `mailbox_poller` fetches mails by `pop3`, [`monitor_core::relay`] finds the list in them and
//! checks it, and the `list_intake` has it stored: outage, waiting clients, letters and receipt in one transaction. From there
//! on it is the gateway's own outbox. A mail is deleted from the mailbox only after that; a refused mail goes into
//! `quarantine`.

mod counters;
mod list_intake;
mod mailbox_poller;
mod pop3;
mod quarantine;

pub use self::{
    counters::Counters,
    list_intake::{GatewayKeys, ListIntake, Receipts},
    mailbox_poller::{Fetched, MailboxPoller, Reader, Verdict, watch},
    pop3::{MailboxError, Pop3},
    quarantine::Quarantine,
};
