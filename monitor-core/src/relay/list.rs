//! The list: what a gateway asks a relay to tell, and to whom (pure).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    keys::Keyring,
    seal::{self, Head, Refusal, Sealed},
};
use crate::{
    domain::{ClientAddr, OutageId, Service, UnixMs},
    outage::{Failure, Recovery},
};

/// One outage that is over, and who waited for its end. The order of the fields is that of the canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// 1.
    pub version: u32,
    /// The gateway that saw it.
    pub gateway: String,
    /// The name of the key that signed.
    pub key: String,
    /// The outage's id at that gateway: for people who compare both logs.
    pub outage: OutageId,
    /// The server that is back.
    pub server: IpAddr,
    /// The TCP port that is back.
    pub port: u16,
    /// Begin of the outage.
    pub since: UnixMs,
    /// Its end.
    pub recovered: UnixMs,
    /// What said so.
    pub evidence: Recovery,
    /// Who waits, by address.
    pub clients: Vec<Listed>,
    /// When it was written.
    pub issued: UnixMs,
    /// From then on it is void.
    pub expires: UnixMs,
    /// 32 hexadecimal digits: no two lists have the same.
    pub nonce: String,
}

/// A client on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its address.
    pub client: ClientAddr,
    /// First failed attempt.
    pub first: UnixMs,
    /// Latest failed attempt.
    pub latest: UnixMs,
    /// Failed attempts.
    pub attempts: u64,
    /// The most telling evidence.
    pub evidence: Failure,
}

impl Sealed for List {
    const CONTEXT: &'static [u8] = b"ringback list";

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

impl List {
    /// The attachment's bytes.
    #[must_use]
    pub fn encode(&self, keyring: &Keyring) -> Vec<u8> {
        seal::seal(self, keyring)
    }

    /// The list, if the bytes are one that this gateway signed and its time is now.
    pub fn verify(bytes: &[u8], keyring: &Keyring, now: UnixMs) -> Result<Self, Refusal> {
        let list: Self = seal::open(bytes, keyring, now)?;
        let ascending = list.clients.windows(2).all(|pair| pair[0].client.ip() < pair[1].client.ip());
        if !ascending {
            return Err(Refusal::Form("clients out of order or twice".to_owned()));
        }
        // `::ffff:192.0.2.7` and `192.0.2.7` are one client: only the latter is written.
        let canonical = |addr: IpAddr| addr == addr.to_canonical();
        if !canonical(list.server) || !list.clients.iter().all(|listed| canonical(listed.client.ip())) {
            return Err(Refusal::Form("IPv4 addresses written as IPv6".to_owned()));
        }
        Ok(list)
    }

    /// What is back.
    #[must_use]
    pub fn service(&self) -> Service {
        Service::new(self.server, self.port)
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
