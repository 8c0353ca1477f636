//! Telling people: what to say, to whom, and getting it there.
//!
//! In: letters that a closing transaction wrote to the outbox. Out: one SMTP message (or Maildir file) per recipient,
//! and what became of it, recorded in the store.
//!
//! `worker` takes due letters from the outbox, the core's pacer holds back what would be a stampede, and several
//! `delivery_worker`s try them in parallel over `smtp`, into the `maildir` or to a `webhook`. The core words each letter,
//! from templates whose files are read here, and decides what a try means.

mod delivery;
mod delivery_worker;
mod error;
mod lease;
mod maildir;
mod queue;
mod server_name;
mod smarthost;
mod smtp;
mod template_file;
pub mod webhook;
mod worker;

pub use self::{
    delivery::{Delivery, Mail, NotDelivered},
    error::NotifyError,
    queue::LetterQueue,
    server_name::{LOOKUP_LIMIT, ServerNames},
    webhook::Webhooks,
    worker::OutboxWorker,
};
