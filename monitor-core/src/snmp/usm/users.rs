//! The users that agents may authenticate as (RFC 3414 section 2.1).

use std::net::IpAddr;

use super::keys::{EngineKeys, UserKeys};

/// A user with the keys that its pass phrases lead to.
pub struct User {
    /// Its name.
    pub name: String,
    /// The only engine whose traps it may authenticate; `None`: any.
    pub engine: Option<Vec<u8>>,
    /// `None`: noAuthNoPriv.
    pub keys: Option<Box<dyn UserKeys>>,
    /// Whom it speaks for; `None`: the sender.
    pub server: Option<IpAddr>,
}

impl User {
    /// Whether messages of this user carry a digest, and whether they are encrypted.
    pub(super) fn level(&self) -> (bool, bool) {
        self.keys.as_ref().map_or((false, false), |keys| (true, keys.encrypts()))
    }

    /// The keys for this engine; `None` for noAuthNoPriv, or if there can be none.
    pub(super) fn localized(&self, engine: &[u8]) -> Option<Box<dyn EngineKeys>> {
        self.keys.as_ref()?.localized(engine)
    }
}

/// Every user.
pub(super) struct Users(Vec<User>);

impl Users {
    pub(super) fn new(users: Vec<User>) -> Self {
        Self(users)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The user of this name for traps of this engine.
    pub(super) fn of_engine(&self, name: &[u8], engine: &[u8]) -> Option<&User> {
        let mut named = self.0.iter().filter(|user| user.name.as_bytes() == name);
        named
            .clone()
            .find(|user| user.engine.as_deref() == Some(engine))
            .or_else(|| named.find(|user| user.engine.is_none()))
    }

    /// The user of this name for informs, whose authority is our own engine.
    pub(super) fn named(&self, name: &[u8]) -> Option<&User> {
        let mut named = self.0.iter().filter(|user| user.name.as_bytes() == name);
        named.clone().find(|user| user.engine.is_none()).or_else(|| named.next())
    }
}

/// An engine id in hexadecimal digits, with `0x` in front or without (RFC 3411, SnmpEngineID); `None`: it is none.
#[must_use]
pub fn engine_id(hexadecimal: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = hexadecimal.trim_start_matches("0x").as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    if odd.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
