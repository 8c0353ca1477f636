//! Shared keys: at most two per gateway are alive, so that one can be replaced without a pause.

use std::{
    io,
    path::{Path, PathBuf},
};

use ring::hmac;

use crate::{config::KeySetting, domain::byte_order_mark::without_mark};

/// As many characters as the digest has bytes (RFC 2104 section 3 advises against shorter keys).
pub(super) const SHORTEST: usize = 32;

/// Brings the text of a file: this crate opens none.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// None, or more than two.
    #[error("{0} keys: write one, or two while one replaces the other")]
    Count(usize),
    /// The name would not be safe in a list.
    #[error("`{0}` is not a key's name: write letters, digits, `-`, `.` or `_`")]
    Name(String),
    /// Two of the same name.
    #[error("two keys have the name `{0}`")]
    Twice(String),
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too little to guess.
    #[error("the key in {} is shorter than {SHORTEST} characters", .0.display())]
    Short(PathBuf),
}

/// The keys that a gateway and its relay share. The first signs, each verifies.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// The gateway's name, in every list and receipt.
    pub(super) gateway: String,
    /// Name and key, one or two.
    pub(super) keys: Vec<(String, hmac::Key)>,
}

impl Keyring {
    /// The keys of these settings; `read` brings a file's text.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be used.
    pub fn load(gateway: &str, settings: &[KeySetting], read: ReadFile<'_>) -> Result<Self, KeyError> {
        if !(1..=2).contains(&settings.len()) {
            return Err(KeyError::Count(settings.len()));
        }
        let mut keys: Vec<(String, hmac::Key)> = Vec::new();
        for setting in settings {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if setting.id.is_empty() || !setting.id.chars().all(plain) {
                return Err(KeyError::Name(setting.id.clone()));
            }
            if keys.iter().any(|(id, _)| *id == setting.id) {
                return Err(KeyError::Twice(setting.id.clone()));
            }
            let text =
                read(&setting.file).map_err(|source| KeyError::Unreadable { path: setting.file.clone(), source })?;
            // Editors and `echo` end the line; no key does.
            let secret = without_mark(&text).trim_end_matches(['\r', '\n']);
            if secret.len() < SHORTEST {
                return Err(KeyError::Short(setting.file.clone()));
            }
            keys.push((setting.id.clone(), hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())));
        }
        Ok(Self { gateway: gateway.to_owned(), keys })
    }

    #[cfg(test)]
    pub(super) fn of(gateway: &str, keys: &[(&str, &[u8])]) -> Self {
        let key = |(id, secret): &(&str, &[u8])| ((*id).to_owned(), hmac::Key::new(hmac::HMAC_SHA256, secret));
        Self { gateway: gateway.to_owned(), keys: keys.iter().map(key).collect() }
    }

    /// The gateway's name.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.gateway
    }

    /// The name of the key that signs.
    pub(super) fn signing(&self) -> &str {
        self.keys.first().map_or("", |(id, _)| id)
    }
}
