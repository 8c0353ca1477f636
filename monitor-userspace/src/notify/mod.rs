//! Telling people: what to say, to whom, and getting it there.
//!
//! In: letters that a closing transaction wrote to the outbox. Out: one SMTP message (or Maildir file) per recipient,
//! and what became of it, recorded in the store.
//!
//! `worker` takes due letters from the `outbox`, `pacing` holds back what would be a stampede, `lane`s try them in
//! parallel over `smtp`, into the `maildir` or to a `webhook`, `verdict` decides what a try means. `message` puts `template`s into
//! words.

mod address_book;
mod civil_time;
mod delivery;
mod error;
mod implicit_tls;
mod lane;
mod lease;
mod letter_key;
mod maildir;
mod message;
mod outbox;
mod pacing;
pub(crate) mod phrase;
mod placeholder;
mod relay;
pub mod sample;
mod server_name;
mod smtp;
mod template;
mod verdict;
pub mod webhook;
mod worker;

pub use address_book::{AddressBook, AddressEntry, Origin};
pub(crate) use civil_time::utc_and_local;
pub use delivery::{Delivery, NotDelivered};
pub use error::NotifyError;
pub use outbox::Outbox;
pub use server_name::{LOOKUP_LIMIT, ServerNames};
pub use template::TemplateError;
pub use webhook::Webhooks;
pub use worker::OutboxWorker;
