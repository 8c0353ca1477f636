//! Someone else tells the clients: the recovered server itself, or a management station (F-17, F-18).
//!
//! Gateway: a closing outage whose server has a relay becomes one signed `list` in the outbox (`issue`), in the closing's
//! own transaction. The relay's signed `receipt` comes back by mail; without one the gateway mails the clients itself.
//!
//! Relay (`ringback relay`): `pop3` fetches mails, `attachment` finds the list in them, `seal` and `list` check it, and
//! the `station` has it stored: outage, waiting clients, letters and receipt in one transaction. From there on it is the
//! gateway's own outbox. A mail is deleted from the mailbox only after that; what is refused is kept `aside`.

mod aside;
mod attachment;
mod counters;
mod courier;
mod issue;
mod keys;
mod list;
mod pop3;
mod receipt;
mod seal;
mod station;

pub use aside::Aside;
pub use counters::Counters;
pub use courier::{Courier, Fetched, Reader, Verdict, watch};
pub(crate) use issue::RECEIPT_FILE;
pub use issue::{About, Issued, MOST_CLIENTS, Relay, Relays};
pub use keys::{KeyError, Keyring};
pub use list::{List, Listed};
pub use pop3::{MailboxError, Pop3};
pub use receipt::Receipt;
pub use seal::Refusal;
pub use station::{GatewayKeys, Receipts, Station};
