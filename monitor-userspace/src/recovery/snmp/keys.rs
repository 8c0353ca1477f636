//! SNMPv3's cryptography, by a library: digests and encryption with the keys of a user's pass phrases.

use std::{ops::Range, path::PathBuf, sync::Arc};

use async_snmp::{
    AuthProtocol, MasterKeys, PrivProtocol,
    v3::{LocalizedKey, PrivKey, SaltCounter, auth},
};
use monitor_core::{
    config::{Key, Mistake, Mistakes, SnmpAuth, SnmpPrivacy, SnmpUser},
    snmp::usm::{Encrypted, EngineKeys, User, UserKeys, engine_id},
};

use super::UserError;
use crate::secret;

/// RFC 3414 section 11.2: shorter pass phrases are refused.
const SHORTEST_PASS_PHRASE: usize = 8;

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
pub(super) fn load(settings: &[SnmpUser]) -> Result<Vec<User>, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let list = Key::from("recovery.snmp_user");
    if settings.is_empty() {
        return Ok(Vec::new());
    }
    let salts = SaltCounter::new().map_err(|error| UserError::Random(error.to_string()).at(&list));
    let Some(salts) = mistakes.take(salts).map(Arc::new) else { return mistakes.or(None) };
    let load = |(index, user)| mistakes.take_all(load_one(user, &salts, &list.at(index)));
    let users = settings.iter().enumerate().filter_map(load).collect();
    mistakes.or(Some(users))
}

fn load_one(setting: &SnmpUser, salts: &Arc<SaltCounter>, entry: &Key) -> Result<User, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let engine = setting.engine_id.as_ref().and_then(|text| {
        let engine = engine_id(text).ok_or_else(|| UserError::Engine(text.clone()).at(entry));
        mistakes.take(engine)
    });
    let mut phrase = |key: &str, file: &Option<PathBuf>| {
        let read = secret::read(file.as_ref()?, SHORTEST_PASS_PHRASE).map_err(|error| error.at(entry.to(key)));
        Some(mistakes.take(read)?.trim_end().as_bytes().to_vec())
    };
    // The pass phrase of a protocol that is not used is not looked at.
    let authentication = authentication(setting.auth)
        .and_then(|protocol| Some((protocol, phrase("auth_secret_file", &setting.auth_secret_file)?)));
    let privacy = privacy(setting.privacy)
        .and_then(|protocol| Some((protocol, phrase("privacy_secret_file", &setting.privacy_secret_file)?)));
    let keys = authentication.and_then(|(protocol, secret)| {
        let derived = MasterKeys::new(protocol, &secret).and_then(|keys| match &privacy {
            Some((protocol, secret)) => keys.with_privacy(*protocol, secret),
            None => Ok(keys),
        });
        mistakes.take(derived.map_err(|error| UserError::Keys(error.to_string()).at(entry)))
    });
    let keys = keys.map(|keys| Box::new(Master { keys, salts: Arc::clone(salts) }) as Box<dyn UserKeys>);
    mistakes.or(Some(User { name: setting.name.clone(), engine, keys, server: setting.server }))
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
