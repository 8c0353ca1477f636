//! The configured users and their keys (RFC 3414 section 2.1; pure but for `load`, which reads the secrets).

use std::{fs, net::IpAddr, path::Path};

use async_snmp::{
    AuthProtocol, MasterKeys, PrivProtocol,
    v3::{CryptoError, LocalizedKey, PrivKey},
};

use super::super::SnmpError;
use crate::config::{SnmpAuth, SnmpPrivacy, SnmpUser};

/// A user with the keys that its pass phrases lead to.
pub(super) struct User {
    name: Vec<u8>,
    /// The only engine whose traps it may authenticate.
    engine: Option<Vec<u8>>,
    /// `None`: noAuthNoPriv.
    keys: Option<MasterKeys>,
    /// Whom it speaks for.
    pub(super) server: Option<IpAddr>,
}

/// Keys for one engine.
pub(super) struct Keys {
    pub(super) authentication: LocalizedKey,
    pub(super) privacy: Option<PrivKey>,
}

impl User {
    /// Whether messages of this user carry a digest, and whether they are encrypted.
    pub(super) fn level(&self) -> (bool, bool) {
        self.keys.as_ref().map_or((false, false), |keys| (true, keys.priv_protocol().is_some()))
    }

    /// The keys for this engine (RFC 3414 section 2.6); `None` for noAuthNoPriv.
    pub(super) fn keys(&self, engine: &[u8]) -> Option<Result<Keys, CryptoError>> {
        let keys = self.keys.as_ref()?;
        Some(keys.localize(engine).map(|(authentication, privacy)| Keys { authentication, privacy }))
    }
}

/// Every user.
pub(super) struct Users(Vec<User>);

impl Users {
    /// Reads the pass phrases and derives the keys, which takes some milliseconds for each.
    pub(super) fn load(settings: &[SnmpUser]) -> Result<Self, SnmpError> {
        settings.iter().map(load).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The user of this name for traps of this engine.
    pub(super) fn of_engine(&self, name: &[u8], engine: &[u8]) -> Option<&User> {
        let mut named = self.0.iter().filter(|user| user.name == name);
        named
            .clone()
            .find(|user| user.engine.as_deref() == Some(engine))
            .or_else(|| named.find(|user| user.engine.is_none()))
    }

    /// The user of this name for informs, whose authority is our own engine.
    pub(super) fn named(&self, name: &[u8]) -> Option<&User> {
        let mut named = self.0.iter().filter(|user| user.name == name);
        named.clone().find(|user| user.engine.is_none()).or_else(|| named.next())
    }
}

fn load(user: &SnmpUser) -> Result<User, SnmpError> {
    let unusable = |why: String| SnmpError::User { name: user.name.clone(), why };
    let engine = match &user.engine_id {
        Some(text) => Some(bytes(text).ok_or_else(|| unusable(format!("`{text}` is not an engine id")))?),
        None => None,
    };
    let keys = match (authentication(user.auth), &user.auth_secret_file) {
        (Some(protocol), Some(file)) => {
            let mut keys = MasterKeys::new(protocol, &secret(file).map_err(unusable)?)
                .map_err(|error| unusable(error.to_string()))?;
            if let (Some(protocol), Some(file)) = (privacy(user.privacy), &user.privacy_secret_file) {
                keys = keys
                    .with_privacy(protocol, &secret(file).map_err(unusable)?)
                    .map_err(|error| unusable(error.to_string()))?;
            }
            Some(keys)
        }
        _ => None,
    };
    Ok(User { name: user.name.clone().into_bytes(), engine, keys, server: user.server })
}

fn secret(file: &Path) -> Result<Vec<u8>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    Ok(text.trim_end().as_bytes().to_vec())
}

/// Hexadecimal digits, with `0x` in front or without.
fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = hexadecimal.trim_start_matches("0x").as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    if odd.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn authentication(setting: SnmpAuth) -> Option<AuthProtocol> {
    Some(match setting {
        SnmpAuth::None => return None,
        SnmpAuth::Sha1 => AuthProtocol::Sha1,
        SnmpAuth::Sha224 => AuthProtocol::Sha224,
        SnmpAuth::Sha256 => AuthProtocol::Sha256,
        SnmpAuth::Sha384 => AuthProtocol::Sha384,
        SnmpAuth::Sha512 => AuthProtocol::Sha512,
    })
}

fn privacy(setting: SnmpPrivacy) -> Option<PrivProtocol> {
    Some(match setting {
        SnmpPrivacy::None => return None,
        SnmpPrivacy::Aes128 => PrivProtocol::Aes128,
        SnmpPrivacy::Aes192 => PrivProtocol::Aes192Blumenthal,
        SnmpPrivacy::Aes192Cisco => PrivProtocol::Aes192Reeder,
        SnmpPrivacy::Aes256 => PrivProtocol::Aes256Blumenthal,
        SnmpPrivacy::Aes256Cisco => PrivProtocol::Aes256Reeder,
    })
}
