//! What people are told: letters, their words, when each is sent, and what a mail server's answer means.

mod address_book;
mod letter;
mod letter_key;
pub mod notice;
mod pacing;
pub mod phrase;
pub mod sample;
mod verdict;

pub use self::{
    address_book::{AddressBook, AddressEntry, Origin},
    letter::{Attachment, Content, Letter, LetterId, LetterService, Outcome, Ready, ReadyLetter, Recovered},
    letter_key::{outage_key, recovery_key},
    pacing::Pacer,
    verdict::{Attempt, Backoff, expired, outcome},
};
