//! Shared keys: at most two per gateway are alive, so that one can be replaced without a pause.

use std::path::Path;

use ring::hmac;

use crate::{
    config::{Key, KeySetting, Mistake, SecretError},
    domain::byte_order_mark::without_mark,
};

/// As many characters as the digest has bytes (RFC 2104 section 3 advises against shorter keys).
pub(super) const SHORTEST: usize = 32;

/// Brings the text of a file with a secret of at least so many characters: this crate opens none.
pub type ReadSecret<'a> = &'a dyn Fn(&Path, usize) -> Result<String, SecretError>;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// None, or more than two.
    #[error("{0} keys")]
    Count(usize),
    /// The name would not be safe in a list.
    #[error("`{0}` is not a key's name")]
    Name(String),
    /// Two of the same name.
    #[error("two keys have the name `{0}`")]
    Twice(String),
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] SecretError),
}

impl KeyError {
    /// The mistake that it is in a list of keys.
    pub(super) fn at(&self, key: Key) -> Mistake {
        let remedy = match self {
            Self::Count(_) => "write one, or two while one replaces the other",
            Self::Name(_) => "write letters, digits, `-`, `.` or `_`",
            Self::Twice(_) => "rename one",
            Self::File(error) => return error.at(key),
        };
        Mistake::new(key, self.to_string(), remedy)
    }
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
    /// Everything by which they cannot be used.
    pub fn load(gateway: &str, settings: &[KeySetting], read: ReadSecret<'_>) -> Result<Self, Vec<KeyError>> {
        let mut errors = Vec::new();
        if !(1..=2).contains(&settings.len()) {
            errors.push(KeyError::Count(settings.len()));
        }
        let mut keys: Vec<(String, hmac::Key)> = Vec::new();
        for setting in settings {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if setting.id.is_empty() || !setting.id.chars().all(plain) {
                errors.push(KeyError::Name(setting.id.clone()));
            }
            if keys.iter().any(|(id, _)| *id == setting.id) {
                errors.push(KeyError::Twice(setting.id.clone()));
            }
            match read(&setting.file, SHORTEST) {
                // Editors and `echo` end the line; no key does.
                Ok(text) => {
                    let secret = without_mark(&text).trim_end_matches(['\r', '\n']);
                    keys.push((setting.id.clone(), hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())));
                }
                Err(error) => errors.push(error.into()),
            }
        }
        if errors.is_empty() { Ok(Self { gateway: gateway.to_owned(), keys }) } else { Err(errors) }
    }

    /// The same of the settings in this table; its mistakes are named by their key.
    ///
    /// # Errors
    /// As there.
    pub fn of_table(
        table: &Key,
        gateway: &str,
        settings: &[KeySetting],
        read: ReadSecret<'_>,
    ) -> Result<Self, Vec<Mistake>> {
        let key = table.to("keys");
        Self::load(gateway, settings, read).map_err(|errors| errors.iter().map(|error| error.at(key.clone())).collect())
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
