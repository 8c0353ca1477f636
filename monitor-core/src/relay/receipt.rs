//! The receipt: a relay has stored a list and will tell its clients (pure).

use serde::{Deserialize, Serialize};

use super::{
    keys::Keyring,
    list::List,
    seal::{self, Head, Refusal, Sealed, VERSION},
};
use crate::{
    domain::UnixMs,
    mail::{Attachment, Ready, ReadyLetter},
};

/// The name of the attachment; what a gateway looks for.
pub const RECEIPT_FILE: &str = "ringback-receipt.json";

/// The answer to one list. The order of the fields is that of the canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// 1.
    pub version: u32,
    /// The gateway that it is for.
    pub gateway: String,
    /// The name of the key that signed.
    pub key: String,
    /// The list's nonce.
    pub nonce: String,
    /// People who are mailed.
    pub told: u64,
    /// Clients without an address on record there.
    pub untold: u64,
    /// When the list was stored.
    pub issued: UnixMs,
    /// From then on it is void.
    pub expires: UnixMs,
}

impl Sealed for Receipt {
    const CONTEXT: &'static [u8] = b"ringback receipt";

    fn head(&self) -> Head<'_> {
        Head {
            version: self.version,
            gateway: &self.gateway,
            key: &self.key,
            issued: self.issued,
            expires: self.expires,
        }
    }
}

impl Receipt {
    /// For `list`, stored at `now`. It lives as long again as a list may, so that a slow mail system does not make it
    /// void.
    #[must_use]
    pub fn new(list: &List, keyring: &Keyring, told: u64, untold: u64, now: UnixMs) -> Self {
        let life = list.expires.since(list.issued);
        Self {
            version: VERSION,
            gateway: keyring.gateway().to_owned(),
            key: keyring.signing().to_owned(),
            nonce: list.nonce.clone(),
            told,
            untold,
            issued: now,
            expires: list.expires + life,
        }
    }

    /// The mail that carries it to the gateway; `list` is the one that it answers.
    #[must_use]
    pub fn mail(&self, list: &List, keyring: &Keyring, to: String) -> ReadyLetter {
        let ready = Ready {
            subject: format!("Ringback receipt: {} is told", list.service()),
            text: format!(
                "To the Ringback gateway {}: the list of outage {} is stored.\n\n\
                 Server:  {}\nPort:    {}\nMailed:  {}\nWithout an address on record:  {}\n\n\
                 Only the attachment counts; it is signed.\n",
                list.gateway, list.outage, list.server, list.port, self.told, self.untold
            ),
            attachment: Some(Attachment { name: RECEIPT_FILE.to_owned(), bytes: self.encode(keyring) }),
            unsubscribe: false,
        };
        ReadyLetter { key: format!("ringback.receipt.{}", self.nonce), to, at: self.issued, ready }
    }

    /// The attachment's bytes.
    #[must_use]
    pub fn encode(&self, keyring: &Keyring) -> Vec<u8> {
        seal::seal(self, keyring)
    }

    /// The receipt, if a relay that has this gateway's keys signed the bytes.
    pub fn verify(bytes: &[u8], keyring: &Keyring, now: UnixMs) -> Result<Self, Refusal> {
        seal::open(bytes, keyring, now)
    }
}
