//! Client address -> mail address, by longest prefix (F-15).

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    config::AddressSetting,
    domain::{ClientAddr, ClientNet, Language, UnixMs},
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

impl AddressEntry {
    /// The entries of the configuration file, registered at `now`.
    #[must_use]
    pub fn of_config(settings: &[AddressSetting], now: UnixMs) -> Vec<Self> {
        let entry = |setting: &AddressSetting| Self {
            client: setting.client,
            mail: setting.mail.clone(),
            language: setting.language,
            origin: Origin::Config,
            registered: now,
        };
        settings.iter().map(entry).collect()
    }
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
        entries.into_iter().for_each(|entry| book.insert(entry));
        book
    }

    /// Adds the entry, in place of another one for the same network.
    pub fn insert(&mut self, entry: AddressEntry) {
        let net = entry.client.net();
        self.by_length[family(net.addr())].entry(std::cmp::Reverse(net.prefix_len())).or_default().insert(net, entry);
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// A book that tells which of its networks an address was found in.
    fn book(nets: &[&str]) -> AddressBook {
        AddressBook::new(nets.iter().map(|net| entry(net, net)))
    }

    fn entry(net: &str, mail: &str) -> AddressEntry {
        AddressEntry {
            client: net.parse().unwrap(),
            mail: mail.to_owned(),
            language: None,
            origin: Origin::Operator,
            registered: UnixMs(0),
        }
    }

    fn found<'a>(book: &'a AddressBook, client: &str) -> Option<&'a str> {
        book.lookup(ClientAddr::new(client.parse().unwrap())).map(|entry| entry.mail.as_str())
    }

    // proves: F-15a
    #[test]
    fn the_smallest_network_that_holds_the_client_counts() {
        let book = book(&["10.0.0.0/8", "10.1.2.7", "10.1.0.0/16", "10.1.2.0/24"]);
        assert_eq!(found(&book, "10.1.2.7"), Some("10.1.2.7"));
        assert_eq!(found(&book, "10.1.2.8"), Some("10.1.2.0/24"));
        assert_eq!(found(&book, "10.1.3.7"), Some("10.1.0.0/16"));
        assert_eq!(found(&book, "10.2.2.7"), Some("10.0.0.0/8"));
    }

    // proves: F-19
    #[test]
    fn a_client_in_no_network_has_no_entry() {
        assert_eq!(found(&book(&["10.0.0.0/8", "2001:db8::/32"]), "11.0.0.1"), None);
        assert_eq!(found(&book(&["10.0.0.0/8", "2001:db8::/32"]), "2001:db9::1"), None);
        assert_eq!(found(&AddressBook::default(), "10.0.0.1"), None);
    }

    #[test]
    fn the_default_network_of_one_family_does_not_hold_the_other() {
        let book = book(&["::/0", "2001:db8::/32", "2001:db8::1"]);
        assert_eq!(found(&book, "2001:db8::1"), Some("2001:db8::1"));
        assert_eq!(found(&book, "2001:db8::2"), Some("2001:db8::/32"));
        assert_eq!(found(&book, "2001:db9::2"), Some("::/0"));
        assert_eq!(found(&book, "10.0.0.1"), None);
    }

    #[test]
    fn an_ipv4_client_in_the_kernels_form_is_found_as_ipv4() {
        assert_eq!(found(&book(&["10.0.0.0/8"]), "::ffff:10.0.0.1"), Some("10.0.0.0/8"));
    }

    #[test]
    fn of_two_entries_for_one_network_the_later_counts() {
        let book = AddressBook::new([entry("10.0.0.7", "first"), entry("10.0.0.7/32", "second")]);
        assert_eq!(found(&book, "10.0.0.7"), Some("second"));
    }
}
