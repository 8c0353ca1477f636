//! `[standin]`: what answers in a failed server's name.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::domain::ClientNet;

/// `[standin]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StandIn {
    /// Whether a page is served in the name of failed HTTP servers (port 80), which asks for a mail address (F-21).
    pub enabled: bool,
    /// `unknown`: the page is for clients without a mail address on record; `everyone` (F-27).
    pub ask: Ask,
    /// Addresses that were typed longer ago are asked for again (F-27).
    #[serde(with = "super::duration")]
    pub ask_again: Duration,
    /// Typed addresses are deleted after this time.
    #[serde(with = "super::duration")]
    pub forget: Duration,
    /// Answers per client and minute that are taken.
    pub answers: u32,
    /// Connections at the same time; for a further one the oldest is closed.
    pub connections: u32,
    /// Where the gateway itself takes answers and ends subscriptions, such as `0.0.0.0:8480`; absent: nowhere.
    pub own_listen: Option<SocketAddr>,
    /// How clients reach that, such as `http://gw.example.net:8480`. Set, forms are sent there (F-22, variant 1) and mails
    /// end with a link to unsubscribe; absent, forms go to the failed server's address (variant 2).
    pub own_url: Option<String>,
    /// Folder with a `page.html` of the operator's own; absent: the built-in one.
    pub page_dir: Option<PathBuf>,
    /// SYNs to other ports of failed services: `silent` (they pass), `reset` or `icmp` (refused at once, F-29).
    pub other_ports: OtherPortsRule,
    /// Certificates by which the page is also served over TLS (port 443), for the names in them. Other names, and servers
    /// without any, get what other ports get.
    pub tls: Vec<StandInTls>,
}

/// `[[standin.tls]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandInTls {
    /// The server's own certificate and those between it and an authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Addresses or networks of the servers that it is for. Empty: every server that is asked for a name in it.
    #[serde(default)]
    pub servers: Vec<ClientNet>,
}

/// `standin.ask`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Clients without a mail address on record.
    #[default]
    Unknown,
    /// Every client.
    Everyone,
}

/// `standin.other_ports`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherPortsRule {
    /// They pass.
    #[default]
    Silent,
    /// RST.
    Reset,
    /// ICMP host unreachable.
    Icmp,
}

impl Default for StandIn {
    fn default() -> Self {
        Self {
            enabled: false,
            ask: Ask::Unknown,
            ask_again: Duration::from_secs(180 * 24 * 3600),
            forget: Duration::from_secs(365 * 24 * 3600),
            answers: 6,
            connections: 10_000,
            own_listen: None,
            own_url: None,
            page_dir: None,
            other_ports: OtherPortsRule::Silent,
            tls: Vec::new(),
        }
    }
}
