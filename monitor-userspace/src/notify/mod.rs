//! Telling people: what to say, to whom, and getting it there.
//!
//! In: letters that a closing transaction wrote to the outbox. Out: one SMTP message (or Maildir file) per recipient,
//! and what became of it, recorded in the store.

mod address_book;
mod maildir;
mod message;
mod outbox;
mod retry;
mod server_name;
mod smtp;
mod templates;

use std::{io, path::PathBuf};

pub use address_book::{AddressBook, AddressEntry, Origin};
pub use outbox::{Delivery, Outbox};
pub use server_name::Names;
pub use smtp::{Security, SmtpError, SmtpUrl};
pub use templates::{TemplateError, Templates};

/// Why mail cannot go out as configured.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The sender is not one.
    #[error("notify.from: `{0}` is not a sender: write Ringback <ringback@example.net>")]
    From(String),
    /// The recipient of a test mail is not one.
    #[error("`{0}` is not a mail address")]
    Recipient(String),
    /// The Maildir cannot be made or written.
    #[error("the Maildir {path} cannot be written: {source}; check store.state_dir, or set notify.smtp")]
    Maildir {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The mail server cannot be used.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// A template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A test mail was not taken.
    #[error("the mail was not taken: {0}")]
    Delivery(String),
}
