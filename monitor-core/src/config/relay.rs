//! Settings of telling through a relay (F-17, F-18): the same file serves the gateway and the relay.

use std::{path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::domain::ClientNet;

/// `[mailbox]`: where mail for this Ringback itself arrives: lists at a relay, receipts at a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mailbox {
    /// `pop3s://host:995`, `pop3+starttls://host:110`, `pop3://host:110` (in clear: only to this machine itself).
    /// Absent: no mailbox.
    pub pop3: Option<String>,
    /// User name.
    pub pop3_user: Option<String>,
    /// File with the password.
    pub pop3_password_file: Option<PathBuf>,
    /// File with certificates (PEM) to trust besides the system's authorities.
    pub pop3_ca_file: Option<PathBuf>,
    /// How often it is looked into.
    #[serde(with = "super::duration")]
    pub poll: Duration,
    /// Mails with more bytes are not fetched.
    pub largest: u64,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            pop3: None,
            pop3_user: None,
            pop3_password_file: None,
            pop3_ca_file: None,
            poll: Duration::from_secs(60),
            largest: 16 << 20,
        }
    }
}

/// `[[relay]]`: the server mail table, at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySetting {
    /// Servers whose clients it tells: an address or a network.
    pub server: ClientNet,
    /// The relay's mail address.
    pub mail: String,
    /// `relay`: it is sent the list; `direct`: the gateway mails the clients itself.
    #[serde(default)]
    pub deliver: Deliver,
    /// How long until the gateway mails the clients itself when no receipt has come; absent or `"off"`: never.
    #[serde(default, with = "super::duration_or_off")]
    pub fallback: Option<Duration>,
    /// The name by which the relay knows this gateway.
    pub gateway: String,
    /// One or two keys that the relay has too; the first signs.
    pub keys: Vec<KeySetting>,
}

/// Who mails the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deliver {
    /// The gateway.
    Direct,
    /// The relay.
    #[default]
    Relay,
}

/// `[[gateway]]`: at the relay, whose lists it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySetting {
    /// The name that its lists carry.
    pub name: String,
    /// Where receipts are sent; absent: no receipts.
    #[serde(default)]
    pub receipts: Option<String>,
    /// Servers that it may speak of; empty: any.
    #[serde(default)]
    pub servers: Vec<IpNet>,
    /// One or two keys that the gateway has too; the first signs receipts.
    pub keys: Vec<KeySetting>,
}

/// A key and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetting {
    /// Its name: letters, digits, `-`, `.` and `_`.
    pub id: String,
    /// File with at least 32 characters.
    pub file: PathBuf,
}
