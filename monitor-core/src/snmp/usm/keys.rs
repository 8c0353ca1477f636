//! What USM asks of cryptography (RFC 3414 sections 6 to 8): the shell brings the keys, this room only the rules for their
//! use.

use std::ops::Range;

/// What a user's pass phrases lead to.
pub trait UserKeys: Send + Sync {
    /// Whether the user's messages are encrypted too.
    fn encrypts(&self) -> bool;

    /// The keys for one engine (RFC 3414 section 2.6); `None` if there can be none.
    fn localized(&self, engine: &[u8]) -> Option<Box<dyn EngineKeys>>;
}

/// A user's keys for one engine.
pub trait EngineKeys {
    /// Bytes of a message's digest.
    fn digest_length(&self) -> usize;

    /// Writes the digest of a message into its place there; `None` if that cannot be done.
    fn sign(&self, datagram: &mut [u8], digest: Range<usize>) -> Option<()>;

    /// Whether a message has the right digest in that place.
    fn verify(&self, datagram: &[u8], digest: Range<usize>) -> bool;

    /// Encrypts with a salt of its own for each message; `None` if that cannot be done.
    fn encrypt(&self, clear: &[u8], boots: u32, time: u32) -> Option<Encrypted>;

    /// Undoes it; `None` if that cannot be done.
    fn decrypt(&self, encrypted: &[u8], boots: u32, time: u32, salt: &[u8]) -> Option<Vec<u8>>;
}

/// What [`EngineKeys::encrypt`] makes.
pub struct Encrypted {
    /// The encrypted bytes.
    pub bytes: Vec<u8>,
    /// msgPrivacyParameters.
    pub salt: Vec<u8>,
}

/// How far a message that we send is protected.
#[derive(Clone, Copy)]
pub(super) enum Protection<'a> {
    /// noAuthNoPriv.
    None,
    /// authNoPriv.
    Signed(&'a dyn EngineKeys),
    /// authPriv.
    Encrypted(&'a dyn EngineKeys),
}
