//! The gateway's server mail table: which relay tells the clients of which server, and the list that it is sent.

use std::{fmt::Write as _, net::IpAddr, time::Duration};

use super::{
    keys::{Keyring, ReadSecret},
    list::{List, Listed},
    receipt::Receipt,
    seal::{Refusal, VERSION, hex},
};
use crate::{
    config::{Deliver, Key, Mistake, Mistakes, RelaySetting},
    domain::{ClientNet, OutageId, Service, UnixMs},
    mail::{Attachment, Ready, ReadyLetter},
    outage::Recovery,
};

/// Clients in one list: with base64 around it about 4 MB. More clients make more lists, each complete in itself.
pub const MOST_CLIENTS: usize = 20_000;

/// The name of the attachment; what a relay looks for.
pub const LIST_FILE: &str = "ringback-list.json";

/// Every `[[relay]]`.
#[derive(Clone, Debug, Default)]
pub struct Relays(Vec<Relay>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Relay {
    servers: ClientNet,
    mail: String,
    deliver: Deliver,
    fallback: Option<Duration>,
    keyring: Keyring,
}

/// What a list speaks of.
#[derive(Clone, Debug)]
pub struct About {
    /// The outage's id here.
    pub outage: OutageId,
    /// What is back.
    pub service: Service,
    /// Its name, if it is known.
    pub name: Option<String>,
    /// Begin.
    pub since: UnixMs,
    /// End.
    pub recovered: UnixMs,
    /// What said so.
    pub evidence: Recovery,
}

/// A list and the mail that carries it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The list.
    pub list: List,
    /// The mail to the relay.
    pub mail: ReadyLetter,
    /// When the gateway mails the clients itself if there is no receipt.
    pub fallback: Option<UnixMs>,
}

impl Relays {
    /// Every relay with its keys; `read` brings a file's text.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn load(settings: &[RelaySetting], read: ReadSecret<'_>) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let load = |(index, setting): (usize, &RelaySetting)| {
            let table = Key::from("relay").at(index);
            let keyring = Keyring::of_table(&table, &setting.gateway, &setting.keys, read);
            Some(Relay {
                servers: setting.server,
                mail: setting.mail.clone(),
                deliver: setting.deliver,
                fallback: setting.fallback,
                keyring: mistakes.take_all(keyring)?,
            })
        };
        let relays = settings.iter().enumerate().filter_map(load).collect();
        mistakes.or(Some(Self(relays)))
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The relay that tells the clients of this server: the entry with the longest prefix, if it says so.
    #[must_use]
    pub fn of(&self, server: IpAddr) -> Option<&Relay> {
        let entries = self.0.iter().filter(|relay| relay.servers.net().contains(&server));
        entries.max_by_key(|relay| relay.servers.net().prefix_len()).filter(|relay| relay.deliver == Deliver::Relay)
    }

    /// The receipt that one of the relays signed.
    pub fn receipt(&self, bytes: &[u8], now: UnixMs) -> Result<Receipt, Refusal> {
        let mut refused = Refusal::WrongSignature;
        for relay in &self.0 {
            match Receipt::verify(bytes, &relay.keyring, now) {
                Err(Refusal::WrongSignature) => {}
                Err(other) => refused = other,
                Ok(receipt) => return Ok(receipt),
            }
        }
        Err(refused)
    }
}

impl Relay {
    /// A signed list of these clients. `nonce` is of random numbers: nobody can guess it, and no two lists have the same.
    ///
    /// With a fallback the list is void after half of it: what a relay takes in the last moment leaves the other half for
    /// its receipt, and a relay that wakes up late tells nobody a second time.
    #[must_use]
    pub fn issue(
        &self,
        about: &About,
        mut clients: Vec<Listed>,
        nonce: [u8; 16],
        now: UnixMs,
        lifetime: Duration,
    ) -> Issued {
        clients.sort_by_key(|listed| listed.client.ip());
        let list = List {
            version: VERSION,
            gateway: self.keyring.gateway().to_owned(),
            key: self.keyring.signing().to_owned(),
            outage: about.outage,
            server: about.service.addr(),
            port: about.service.port(),
            since: about.since,
            recovered: about.recovered,
            evidence: about.evidence,
            clients,
            issued: now,
            expires: now + self.fallback.map_or(lifetime, |fallback| fallback / 2),
            nonce: hex(&nonce),
        };
        let ready = Ready {
            subject: format!("Ringback list: {} is back, {} waiting", about.service, list.clients.len()),
            text: text(&list, about.name.as_deref()),
            attachment: Some(Attachment { name: LIST_FILE.to_owned(), bytes: list.encode(&self.keyring) }),
            unsubscribe: false,
        };
        let mail = ReadyLetter { key: format!("ringback.list.{}", list.nonce), to: self.mail.clone(), at: now, ready };
        Issued { list, mail, fallback: self.fallback.map(|fallback| now + fallback) }
    }
}

/// The list for people: server, then clients, one a line.
fn text(list: &List, name: Option<&str>) -> String {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let mut text = format!(
        "To the Ringback relay: this server is back. Please tell these clients.\n\n\
         Server:  {}{name}\nPort:    {}\nOutage:  {} at {}\n\nClients ({}):\n",
        list.server,
        list.port,
        list.outage,
        list.gateway,
        list.clients.len()
    );
    for listed in &list.clients {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}", listed.client);
    }
    text.push_str("\nOnly the attachment counts; it is signed.\n");
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{domain::ClientAddr, outage::Failure};

    #[test]
    fn a_list_says_to_people_what_it_says_to_the_relay() {
        let listed = |text: &str| Listed {
            client: ClientAddr::new(text.parse().unwrap()),
            first: UnixMs(1_795_219_501_000),
            latest: UnixMs(1_795_226_441_000),
            attempts: 3,
            evidence: Failure::Unanswered,
        };
        let list = List {
            version: VERSION,
            gateway: "gw1".to_owned(),
            key: "k".to_owned(),
            outage: OutageId(17),
            server: "192.0.2.7".parse().unwrap(),
            port: 443,
            since: UnixMs(1_795_219_001_000),
            recovered: UnixMs(1_795_226_501_000),
            evidence: Recovery::Trap,
            clients: vec![listed("198.18.0.1"), listed("2001:db8::1")],
            issued: UnixMs(1_795_226_501_000),
            expires: UnixMs(1_795_312_901_000),
            nonce: "0".repeat(32),
        };
        insta::assert_snapshot!(text(&list, Some("www.example.net")), @"
        To the Ringback relay: this server is back. Please tell these clients.

        Server:  192.0.2.7 (www.example.net)
        Port:    443
        Outage:  17 at gw1

        Clients (2):
          198.18.0.1
          2001:db8::1

        Only the attachment counts; it is signed.
        ");
    }
}
