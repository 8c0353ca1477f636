//! Telling people: what to say, to whom, and getting it there.
//!
//! In: letters that a closing transaction wrote to the outbox. Out: one SMTP message (or Maildir file) per recipient,
//! and what became of it, recorded in the store.

mod address_book;

pub use address_book::{AddressBook, AddressEntry, Origin};
