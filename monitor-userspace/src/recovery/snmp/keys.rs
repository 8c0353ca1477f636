//! SNMPv3's cryptography, by a library: digests and encryption with the keys of a user's pass phrases.

use std::{fs, ops::Range, path::Path, sync::Arc};

use async_snmp::{
    AuthProtocol, MasterKeys, PrivProtocol,
    v3::{LocalizedKey, PrivKey, SaltCounter, auth},
};
use monitor_core::{
    config::{SnmpAuth, SnmpPrivacy, SnmpUser},
    domain::byte_order_mark::without_mark,
    snmp::usm::{Encrypted, EngineKeys, User, UserKeys, engine_id},
};

use super::SnmpError;

/// A user's keys, of no engine yet.
struct Master {
    keys: MasterKeys,
    salts: Arc<SaltCounter>,
}

/// A user's keys for one engine.
struct Localized {
    authentication: LocalizedKey,
    privacy: Option<PrivKey>,
    salts: Arc<SaltCounter>,
}

impl UserKeys for Master {
    fn encrypts(&self) -> bool {
        self.keys.priv_protocol().is_some()
    }

    fn localized(&self, engine: &[u8]) -> Option<Box<dyn EngineKeys>> {
        let (authentication, privacy) = self.keys.localize(engine).ok()?;
        Some(Box::new(Localized { authentication, privacy, salts: Arc::clone(&self.salts) }))
    }
}

impl EngineKeys for Localized {
    fn digest_length(&self) -> usize {
        self.authentication.mac_len()
    }

    fn sign(&self, datagram: &mut [u8], digest: Range<usize>) -> Option<()> {
        auth::authenticate_message(&self.authentication, datagram, digest.start, digest.len()).ok()
    }

    fn verify(&self, datagram: &[u8], digest: Range<usize>) -> bool {
        auth::verify_message(&self.authentication, datagram, digest.start, digest.len()).unwrap_or(false)
    }

    fn encrypt(&self, clear: &[u8], boots: u32, time: u32) -> Option<Encrypted> {
        let (bytes, salt) = self.privacy.as_ref()?.encrypt_aes(clear, boots, time, &self.salts).ok()?;
        Some(Encrypted { bytes: bytes.to_vec(), salt: salt.to_vec() })
    }

    fn decrypt(&self, encrypted: &[u8], boots: u32, time: u32, salt: &[u8]) -> Option<Vec<u8>> {
        self.privacy.as_ref()?.decrypt(encrypted, boots, time, salt).ok().map(|clear| clear.to_vec())
    }
}

/// Reads the pass phrases of every user and derives the keys, which takes some milliseconds for each.
pub(super) fn load(settings: &[SnmpUser]) -> Result<Vec<User>, SnmpError> {
    let salts = Arc::new(SaltCounter::new().map_err(|error| SnmpError::Random(error.to_string()))?);
    settings.iter().map(|user| load_one(user, &salts)).collect()
}

fn load_one(user: &SnmpUser, salts: &Arc<SaltCounter>) -> Result<User, SnmpError> {
    let unusable = |why: String| SnmpError::User { name: user.name.clone(), why };
    let engine = match &user.engine_id {
        Some(text) => Some(engine_id(text).ok_or_else(|| unusable(format!("`{text}` is not an engine id")))?),
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
            Some(Box::new(Master { keys, salts: Arc::clone(salts) }) as Box<dyn UserKeys>)
        }
        _ => None,
    };
    Ok(User { name: user.name.clone(), engine, keys, server: user.server })
}

fn secret(file: &Path) -> Result<Vec<u8>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    Ok(without_mark(&text).trim_end().as_bytes().to_vec())
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
