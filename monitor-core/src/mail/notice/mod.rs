//! Notices to operators: that outages have opened and ended, that peers are down and back (B-1). Pure.
//!
//! In: what has happened, in the transaction that made it happen. `recipients` says who is to be told, `pace` when,
//! `words` what. Out: one message for all that has come together, which the store puts into the outbox.

mod happened;
mod json;
mod pace;
mod recipients;
mod words;

use ring::digest;

pub use self::{
    happened::{Event, Peer, Subject},
    pace::{Pace, Timing},
    recipients::Notices,
    words::{message, test_message},
};

/// The key of a letter about this event to this address; `event` is fit for a file name.
#[must_use]
pub fn key(event: &str, to: &str) -> String {
    // Not the address itself: a key is a file name too.
    format!("ringback.{event}.{}", digest(&to.to_lowercase()))
}

/// 64 bits of SHA-256 in hexadecimal: the same text for the same, fit for a file name.
#[must_use]
pub fn digest(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
