//! Someone else tells the clients (F-17, F-18): the signed list that a gateway sends, and the receipt that comes back.

mod attachment;
mod issue;
mod keys;
mod list;
mod mail_listing;
mod mailbox_memory;
mod receipt;
mod seal;

pub use self::{
    attachment::find,
    issue::{About, Issued, LIST_FILE, MOST_CLIENTS, Relay, Relays},
    keys::{KeyError, Keyring, ReadSecret},
    list::{List, Listed},
    mail_listing::{MailEntry, mail_entries},
    mailbox_memory::{Blame, MailPlan, MailboxMemory},
    receipt::{RECEIPT_FILE, Receipt},
    seal::{LARGEST, Refusal},
};
