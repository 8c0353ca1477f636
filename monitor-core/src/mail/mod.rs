//! What people are told: letters, their words, when each is sent, and what a mail server's answer means.

mod address_book;
mod error;
mod host_name;
mod letter;
mod letter_key;
mod links;
mod message;
pub mod notice;
mod old_template;
mod pacing;
pub mod peer_words;
pub mod phrase;
pub mod sample;
pub mod smtp;
mod template;
mod verdict;

pub use self::{
    address_book::{AddressBook, AddressEntry, Origin},
    host_name::is_host_name,
    letter::{Attachment, Content, Letter, LetterId, LetterService, Outcome, Ready, ReadyLetter, Recovered},
    letter_key::{outage_key, recovery_key},
    links::UnsubscribeLinks,
    message::{Composer, Unwritable, Written},
    pacing::Pacer,
    template::{ReadTemplate, UnreadableTemplate},
    verdict::{Attempt, Backoff, expired, outcome},
};
