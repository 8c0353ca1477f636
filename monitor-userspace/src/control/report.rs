//! What `--json` prints and the API answers. Fields are added, never renamed or removed.

use monitor_core::{
    domain::{ClientAddr, ClientNet, Language, OutageId, Service, UnixMs},
    mail::{AddressEntry, Origin},
    outage::{Failure, Level, Phase, Tally},
};
use monitor_store::{DeadLetter, GatewayRecord, ListRecord, OutboxCounts, RefusedMail};
use serde::{Deserialize, Serialize};

use crate::{
    kernel::{Hook, TcMode},
    page::Lifetime,
};

/// `ringback status`: what is down, who waits, whether anything is lost, whether mail goes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Version of the daemon.
    pub version: String,
    /// When it started.
    pub started: UnixMs,
    /// When this was written.
    pub now: UnixMs,
    /// Whether all is well with Ringback itself.
    pub health: Health,
    /// Why it is not; empty when it is.
    pub problems: Vec<String>,
    /// Watched interfaces.
    pub interfaces: Vec<InterfaceLine>,
    /// Outages that are not over, latest first.
    pub outages: Vec<OutageLine>,
    /// Clients that wait, in all of them.
    pub waiting_clients: u64,
    /// What was lost since the maps were made, by reason; empty is good.
    pub losses: Vec<Loss>,
    /// Mail.
    pub outbox: OutboxCounts,
    /// Mails that were given up, latest first; at most ten.
    pub dead_letters: Vec<DeadLetter>,
    /// Lists that relays were sent (F-17), latest first; at most ten.
    #[serde(default)]
    pub lists: Vec<ListRecord>,
    /// Mails in our own mailbox that were refused, latest first; at most ten.
    #[serde(default)]
    pub refused: Vec<RefusedMail>,
    /// Lists that relays were sent, by what became of them.
    #[serde(default)]
    pub list_states: Vec<Loss>,
    /// What became of visits to the mailbox and of the mails in it, by reason; empty where there is none.
    #[serde(default)]
    pub mailbox: Vec<Loss>,
    /// What operators are still to be told, over all recipients.
    #[serde(default)]
    pub notices_waiting: u64,
    /// Services that have answered at least once.
    pub services: u64,
    /// Every kernel counter.
    pub counters: Vec<Loss>,
    /// What was seen and not acted on, by reason.
    pub ignored: Tally,
    /// What the SNMP manager did with what it received, by reason; empty while it is off.
    pub snmp: Vec<Loss>,
    /// What became of the clients of the stand-in page, by reason; empty while it is off.
    #[serde(default)]
    pub page: Vec<Loss>,
    /// The stand-in page's certificates; empty while it is off.
    #[serde(default)]
    pub certificates: Vec<CertificateLine>,
    /// Whether this path ever showed an answer; if not, silence cannot be judged (asymmetric routing?).
    pub answers_seen: bool,
    /// The database that is shared with other gateways; absent: none is.
    #[serde(default)]
    pub shared: Option<SharedLine>,
}

/// Whether Ringback itself works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Everything does.
    Ok,
    /// Something does not; see the problems.
    Degraded,
}

/// A certificate of the stand-in page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateLine {
    /// Its file.
    pub certificate: String,
    /// The first moment that it is good for; before, its names have no page.
    pub begins: UnixMs,
    /// The last moment that it is good for; afterwards they have none either.
    pub ends: UnixMs,
}

impl CertificateLine {
    /// When it is good.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        Lifetime { begins: self.begins, ends: self.ends }
    }
}

/// A count and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The counter's word.
    pub reason: Word,
    /// How often.
    pub count: u64,
}

/// A counter's word.
pub type Word = String;

/// The database that several gateways share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedLine {
    /// Why it is out of reach; absent: it is in reach.
    pub cut_off: Option<String>,
    /// Since when.
    pub cut_off_since: Option<UnixMs>,
    /// Batches of changes that are kept on this gateway and not yet there.
    pub kept: u64,
    /// Since when the oldest of them is.
    pub oldest_kept: Option<UnixMs>,
    /// Who shares it.
    pub gateways: Vec<GatewayRecord>,
}

/// A watched interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceLine {
    /// Its name.
    pub name: String,
    /// By which hook what arrives is watched.
    pub ingress: Hook,
    /// How TC egress runs on it.
    pub egress: TcMode,
}

/// An outage in `status` and `outages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageLine {
    /// Its id.
    pub outage: OutageId,
    /// The failed service.
    pub service: Service,
    /// The server's name by reverse DNS.
    pub server_name: Option<String>,
    /// Where it stands; absent for one that is over.
    pub phase: Option<Phase>,
    /// First evidence.
    pub evidence: Failure,
    /// Strongest level of evidence.
    pub level: Level,
    /// First failed attempt.
    pub since: UnixMs,
    /// Latest failed attempt.
    pub latest: UnixMs,
    /// Failed attempts.
    pub failures: u64,
    /// Clients that wait, or waited at its end.
    pub clients: u64,
    /// When it ended.
    pub ended: Option<UnixMs>,
    /// What ended it: a word of recovery evidence, or `discarded`.
    pub ended_by: Option<Word>,
    /// Mails that were written at its end.
    pub letters: u64,
}

/// A known service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceLine {
    /// `address:port`.
    pub service: Service,
    /// When it last answered.
    pub answered: UnixMs,
}

/// A line of the address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressLine {
    /// An address or a network.
    pub client: ClientNet,
    /// Who is told.
    pub mail: String,
    /// In which language.
    #[serde(default)]
    pub language: Option<Language>,
    /// Where it comes from; ignored in requests.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// When it was registered; ignored in requests.
    #[serde(default)]
    pub registered: Option<UnixMs>,
}

impl From<AddressEntry> for AddressLine {
    fn from(entry: AddressEntry) -> Self {
        Self {
            client: entry.client,
            mail: entry.mail,
            language: entry.language,
            origin: Some(entry.origin),
            registered: Some(entry.registered),
        }
    }
}

impl AddressLine {
    /// What an operator registers at `now`, or which line is no mail address.
    pub fn entries(lines: Vec<Self>, now: UnixMs) -> Result<Vec<AddressEntry>, String> {
        lines
            .into_iter()
            .map(|line| match line.mail.parse::<lettre::Address>() {
                Err(error) => Err(format!("`{}` is not a mail address: {error}", line.mail)),
                Ok(_) => Ok(AddressEntry {
                    client: line.client,
                    mail: line.mail,
                    language: line.language,
                    origin: Origin::Operator,
                    registered: now,
                }),
            })
            .collect()
    }

    /// What is said where there is no such line.
    #[must_use]
    pub fn absent(client: ClientNet) -> String {
        format!("{client} is not in the address book")
    }
}

/// `ringback waiting add` (B-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRequest {
    /// What it waits for.
    pub outage: OutageId,
    /// Who waits.
    pub client: ClientAddr,
    /// Where to tell; absent: at the address on record at the end.
    #[serde(default)]
    pub mail: Option<String>,
    /// In which language.
    #[serde(default)]
    pub language: Option<Language>,
}

/// `ringback test-mail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestMailRequest {
    /// The recipient.
    pub to: String,
}
