//! Every setting, its default and its meaning: the one source for the checks, the sample file and the manual.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{GatewaySetting, Mailbox, NoticeSetting, RelaySetting};
pub use super::{
    recovery::{RecoverySettings, SnmpAuth, SnmpPrivacy, SnmpUser, TrapConfirm},
    standin::{Ask, OtherPortsRule, StandIn, StandInTls},
};
use crate::domain::{ClientNet, Language};

/// The whole file. Every key has a default; an unknown key is an error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to watch.
    pub watch: Watch,
    /// When an outage opens.
    pub outage: OutageSettings,
    /// How a recovery is seen.
    pub recovery: RecoverySettings,
    /// How the clients are told.
    pub notify: Notify,
    /// What answers in a failed server's name.
    pub standin: StandIn,
    /// Where state is kept.
    pub store: StoreSettings,
    /// How the daemon is controlled and observed.
    pub control: Control,
    /// Where mail for this Ringback itself is fetched.
    pub mailbox: Mailbox,
    /// The server mail table: which relay tells the clients of which server (F-17, F-18).
    pub relay: Vec<RelaySetting>,
    /// At a relay: the gateways whose lists it takes.
    pub gateway: Vec<GatewaySetting>,
    /// Operators who are told of outages (B-1).
    pub notice: Vec<NoticeSetting>,
    /// Programs that are told by HTTP.
    pub webhook: Vec<super::WebhookSetting>,
    /// The address book's part that is kept in this file.
    pub address: Vec<AddressSetting>,
    /// Ports of this host that are guarded.
    pub guard: Vec<super::GuardSetting>,
    /// How heartbeats are exchanged.
    pub heartbeat: super::Heartbeat,
    /// Addresses that several hosts share; absent: none.
    pub standby: Option<super::Standby>,
    /// Other hosts.
    pub peer: Vec<super::PeerSetting>,
}

/// `[watch]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Interfaces to watch: names, patterns (`wg*`), and the roles `forwarding` (those that are up and hand packets on) and
    /// `default-route`. Empty: `forwarding` on a host that forwards, else `default-route`.
    pub interfaces: Vec<String>,
    /// What to watch: `ADDRESS:PORT` or `NETWORK:PORT` (listed: may have an outage at once), `ADDRESS` or `NETWORK`
    /// (its services are learned when they first answer), `auto` (the same for every address).
    pub servers: Vec<WatchEntry>,
    /// How long a SYN may stay unanswered (F-3).
    #[serde(with = "super::duration")]
    pub syn_timeout: Duration,
    /// Whether RST in answer to a SYN is a failed attempt (F-6).
    pub refused_is_failure: bool,
    /// `all`: every client is remembered; `known`: only clients in the address book (F-7).
    pub remember: Remember,
    /// Count the client's own ACK of the handshake as the answer: for paths where the server's answers pass elsewhere.
    /// Costs one table lookup per TCP acknowledgement without data.
    pub client_ack: bool,
    /// Count this host's own attempts too (F-9d): "tell me when it is back". Needs `egress`.
    pub own: bool,
    /// Follow established connections: data that is not acknowledged within `syn_timeout`, while the service answers nobody,
    /// is a failed attempt (F-5). Costs one table lookup per TCP segment.
    pub established: bool,
    /// By which hook to watch what arrives: `auto` (what costs least on the device), `native`, `generic` (XDP), `tc`.
    pub hook: HookPreference,
    /// Look at what leaves too: this host's own answers, and those whose addresses it translates. Costs one TC program's run
    /// per packet that is sent or forwarded.
    pub egress: bool,
    /// Attempts that can be pending at the same time, per CPU; memory for them is taken at start.
    pub pending: u32,
    /// Where maps and links are pinned; on a BPF file system.
    pub pin_dir: PathBuf,
    /// Not a key: what is configured can only be done by XDP. Follows from `guard` and `standin.other_ports`.
    #[serde(skip)]
    pub needs_xdp: bool,
    /// Not a key: other gateways share the traffic, and ask which answers were seen here. Follows from `store.url`.
    #[serde(skip)]
    pub shared: bool,
}

/// An entry of `watch.servers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchEntry {
    /// Every address; services are learned.
    Auto,
    /// This network; services are learned.
    Network(IpNet),
    /// This port of every address of the network, listed.
    Service(IpNet, u16),
}

/// `watch.remember`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remember {
    /// Every client.
    #[default]
    All,
    /// Only clients that are in the address book.
    Known,
}

/// `watch.hook`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPreference {
    /// XDP in the driver of a network card, else TC; where guards or refusals need XDP, native or else generic XDP.
    #[default]
    Auto,
    /// XDP in the driver, or fail.
    Native,
    /// XDP in the kernel's generic path.
    Generic,
    /// TC ingress.
    Tc,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            servers: vec![WatchEntry::Auto],
            syn_timeout: Duration::from_secs(3),
            refused_is_failure: true,
            remember: Remember::All,
            client_ack: false,
            own: false,
            established: false,
            hook: HookPreference::Auto,
            egress: true,
            pending: 1 << 17,
            pin_dir: PathBuf::from("/sys/fs/bpf/ringback"),
            needs_xdp: false,
            shared: false,
        }
    }
}

/// `[outage]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutageSettings {
    /// Failed attempts that open an outage.
    pub min_failures: u32,
    /// Different clients that open an outage.
    pub min_clients: u32,
    /// Attempts of clients without an address on record that one outage lists; those beyond are only counted. Clients on
    /// record are always listed.
    pub max_unknown: u64,
    /// A refusal that one client alone has seen opens an outage only if the gateway's own probe is not accepted either.
    pub confirm_refusals: bool,
    /// A suspicion that is not confirmed within this time is forgotten.
    #[serde(with = "super::duration")]
    pub suspect_for: Duration,
}

impl Default for OutageSettings {
    fn default() -> Self {
        Self {
            min_failures: 1,
            min_clients: 1,
            max_unknown: 1_000_000,
            confirm_refusals: true,
            suspect_for: Duration::from_secs(60),
        }
    }
}

/// `[notify]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// `smtp://host:25` (STARTTLS when offered), `smtp+starttls://host:587` (required), `smtps://host:465`.
    /// Absent: mails are written to a Maildir under `store.state_dir` (F-20).
    pub smtp: Option<String>,
    /// User name for SMTP AUTH.
    pub smtp_user: Option<String>,
    /// File with the password for SMTP AUTH.
    pub smtp_password_file: Option<PathBuf>,
    /// File with certificates (PEM) to trust besides the system's authorities.
    pub smtp_ca_file: Option<PathBuf>,
    /// What the gateway calls itself in EHLO; absent: its host name if that is a full one, else the address that it
    /// connects from, such as `[192.0.2.1]` (RFC 5321 section 4.1.4).
    pub smtp_helo_name: Option<String>,
    /// The `From:` of every mail.
    pub from: String,
    /// The envelope sender; absent: the null sender `<>`, so that bounces and auto-replies come to nobody.
    pub envelope_from: Option<String>,
    /// Language of mails to people without one on record: `en` or `ja`.
    pub language: Language,
    /// Folder with the operator's own templates (`recovered.en.txt`, `recovered.ja.txt`); absent ones are built in.
    pub template_dir: Option<PathBuf>,
    /// Clients whose latest attempt is older are not told, and are forgotten (F-8).
    #[serde(with = "super::duration")]
    pub max_age: Duration,
    /// How long delivery is tried before a mail is a dead letter.
    #[serde(with = "super::duration")]
    pub lifetime: Duration,
    /// First pause after a temporary failure; doubles up to `retry_max`.
    #[serde(with = "super::duration")]
    pub retry: Duration,
    /// Longest pause between two tries.
    #[serde(with = "super::duration")]
    pub retry_max: Duration,
    /// Connections to the mail server at the same time.
    pub connections: u16,
    /// Mails per second and recovered service; 0: no limit.
    pub rate: u32,
    /// Do not tell clients that got through by themselves.
    pub skip_connected: bool,
    /// Whether server names are looked up by reverse DNS (F-16).
    pub reverse_dns: bool,
    /// DNS server for that; absent: the system's.
    pub dns_server: Option<SocketAddr>,
    /// HTTPS base of the one-click unsubscribe link; absent: `List-Unsubscribe` is a mailto only.
    pub unsubscribe_url: Option<String>,
    /// Where unsubscribe mails go; absent: the address of `from`.
    pub unsubscribe_mail: Option<String>,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            smtp: None,
            smtp_user: None,
            smtp_password_file: None,
            smtp_ca_file: None,
            smtp_helo_name: None,
            from: "Ringback <ringback@localhost>".to_owned(),
            envelope_from: None,
            language: Language::En,
            template_dir: None,
            max_age: Duration::from_secs(24 * 3600),
            lifetime: Duration::from_secs(2 * 24 * 3600),
            retry: Duration::from_secs(30),
            retry_max: Duration::from_secs(1800),
            connections: 8,
            rate: 0,
            skip_connected: false,
            reverse_dns: true,
            dns_server: None,
            unsubscribe_url: None,
            unsubscribe_mail: None,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite:PATH`, or `postgres://…` for several gateways; absent: `ringback.db` under `state_dir`.
    pub url: Option<String>,
    /// Folder of the database and of the Maildir. With `postgres://…` also of what is not in that database yet.
    pub state_dir: PathBuf,
    /// With `postgres://…`: a file with the user's password.
    pub password_file: Option<PathBuf>,
    /// With `postgres://…`: certificates (PEM) that are trusted besides the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// With `postgres://…`: mails of a gateway that is gone are sent by the others after this.
    #[serde(with = "super::duration")]
    pub lease: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: None,
            state_dir: PathBuf::from("/var/lib/ringback"),
            password_file: None,
            ca_file: None,
            lease: Duration::from_secs(60),
        }
    }
}

/// `[control]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// The Unix socket that the command line talks to.
    pub socket: PathBuf,
    /// Where Prometheus metrics are served; absent: nowhere.
    pub metrics_listen: Option<SocketAddr>,
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: PathBuf::from("/run/ringback/control.sock"), metrics_listen: None }
    }
}

/// `[[address]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressSetting {
    /// An address or a network.
    pub client: ClientNet,
    /// Who is told about it.
    pub mail: String,
    /// In which language.
    #[serde(default)]
    pub language: Option<Language>,
}
