//! The heartbeat's bytes: a [`Message`] in, an authenticated datagram out ([`seal`]), and back ([`open`]). Pure; documented
//! field by field in `docs/peer-protocol.md`.
//!
//! Nothing of a datagram is looked at before its HMAC is found right, and a reader skips sections that it does not know.

mod message;
mod read;
#[cfg(test)]
mod tests;
mod write;

use ring::hmac;

pub use self::{
    message::{Beat, Message, Mode, Rank, Signal, Status},
    read::{WireError, open},
    write::seal,
};

/// First bytes of every heartbeat.
const MAGIC: [u8; 4] = *b"RBHB";

/// Version of the layout; another one is refused.
const VERSION: u8 = 1;

/// Bytes of HMAC-SHA-256.
const TAG: usize = 32;

/// Longest datagram: passes every link unfragmented.
pub const MAX_DATAGRAM: usize = 1200;

/// Longest name of a host or a group.
pub const MAX_NAME: usize = 32;

/// Sections.
const GROUP: u8 = 1;
const SIGNAL: u8 = 2;

/// The shared secret of everyone who exchanges heartbeats.
#[derive(Clone, Debug)]
pub struct Secret(hmac::Key);

impl Secret {
    /// The key that is this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}
