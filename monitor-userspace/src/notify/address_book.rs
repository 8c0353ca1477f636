//! Client address -> mail address, by longest prefix (F-15).

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    config::{ClientNet, Language},
    outage::{ClientAddr, UnixMs},
};

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `[[address]]` in the configuration file; replaced at each load.
    Config,
    /// `ringback address add` or `import`.
    Operator,
    /// Typed into the stand-in page (F-24).
    Page,
}

/// One line of the address book. The network is its key: one mail address per network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressEntry {
    /// An address or a network of clients.
    pub client: ClientNet,
    /// Who is told.
    pub mail: String,
    /// In which language; `None`: the configured one.
    pub language: Option<Language>,
    /// Where the entry comes from.
    pub origin: Origin,
    /// When it was registered.
    pub registered: UnixMs,
}

/// The address book in memory: one map lookup per prefix length in use.
#[derive(Clone, Debug, Default)]
pub struct AddressBook {
    /// Prefix lengths in use, longest first, IPv4 and IPv6 apart.
    by_length: [BTreeMap<std::cmp::Reverse<u8>, std::collections::HashMap<IpNet, AddressEntry>>; 2],
}

impl AddressBook {
    /// A book of these entries; of two for one network, the later counts.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = AddressEntry>) -> Self {
        let mut book = Self::default();
        for entry in entries {
            let net = entry.client.net();
            book.by_length[family(net.addr())]
                .entry(std::cmp::Reverse(net.prefix_len()))
                .or_default()
                .insert(net, entry);
        }
        book
    }

    /// The entry of the smallest network that holds `client`.
    #[must_use]
    pub fn lookup(&self, client: ClientAddr) -> Option<&AddressEntry> {
        let addr = client.ip();
        self.by_length[family(addr)].iter().find_map(|(length, entries)| {
            let net = IpNet::new(addr, length.0).ok()?.trunc();
            entries.get(&net)
        })
    }
}

const fn family(addr: IpAddr) -> usize {
    if addr.is_ipv4() { 0 } else { 1 }
}
