//! `[recovery]`: what ends an outage, and whose word counts.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// `[recovery]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecoverySettings {
    /// Where SNMP traps and informs are received; absent: not at all (F-10).
    pub trap_listen: Option<SocketAddr>,
    /// Communities that v1 and v2c traps may carry.
    pub communities: Vec<String>,
    /// `trust`: a trap ends the outage; `probe`: a probe must confirm it.
    pub trap_confirm: TrapConfirm,
    /// Trap OIDs that mean recovery. Default: coldStart, warmStart, linkUp.
    pub trap_oids: Vec<String>,
    /// Sources (proxies, NAT) whose agent-addr or snmpTrapAddress is believed instead of the source address.
    pub trap_proxies: Vec<IpNet>,
    /// SNMPv3 users.
    pub snmp_user: Vec<SnmpUser>,
    /// Probe interval of services in an open outage; absent or `"off"`: no probes (F-14).
    #[serde(with = "super::duration_or_off")]
    pub probe: Option<Duration>,
    /// The longest pause that back-off leads to.
    #[serde(with = "super::duration")]
    pub probe_max: Duration,
    /// How long one probe may take.
    #[serde(with = "super::duration")]
    pub probe_timeout: Duration,
    /// Where signals are received over HTTP; absent: only on the control socket (F-13).
    pub signal_listen: Option<SocketAddr>,
    /// File with the shared secret of signals over HTTP.
    pub signal_secret_file: Option<PathBuf>,
    /// How long a recovered service must stay without a failure before clients are told.
    #[serde(with = "super::duration")]
    pub settle: Duration,
}

/// `recovery.trap_confirm`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrapConfirm {
    /// The trap alone ends the outage.
    #[default]
    Trust,
    /// Only a probe that connects does.
    Probe,
}

/// `[[recovery.snmp_user]]`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnmpUser {
    /// User name.
    pub name: String,
    /// The only engine id (hexadecimal) that may send as this user; absent: any that authenticates.
    #[serde(default)]
    pub engine_id: Option<String>,
    /// `none`, `sha1`, `sha224`, `sha256`, `sha384`, `sha512`.
    #[serde(default)]
    pub auth: SnmpAuth,
    /// File with the authentication pass phrase.
    #[serde(default)]
    pub auth_secret_file: Option<PathBuf>,
    /// `none`, `aes128`, `aes192`, `aes256`; `aes192-cisco` and `aes256-cisco` where a key is longer than the digest and
    /// the agent stretches it as Cisco does.
    #[serde(default)]
    pub privacy: SnmpPrivacy,
    /// File with the privacy pass phrase.
    #[serde(default)]
    pub privacy_secret_file: Option<PathBuf>,
    /// The server that this user's traps speak for; absent: the source address.
    #[serde(default)]
    pub server: Option<IpAddr>,
}

impl std::fmt::Debug for SnmpUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnmpUser").field("name", &self.name).field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// Authentication protocol of an SNMPv3 user (RFC 3414, RFC 7860).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the protocols'")]
pub enum SnmpAuth {
    #[default]
    None,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Privacy protocol of an SNMPv3 user: RFC 3826, and its longer keys after draft-blumenthal-aes-usm-04 or (Cisco)
/// draft-reeder-snmpv3-usm-3desede-00.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the protocols'")]
pub enum SnmpPrivacy {
    #[default]
    None,
    Aes128,
    Aes192,
    #[serde(rename = "aes192-cisco")]
    Aes192Cisco,
    Aes256,
    #[serde(rename = "aes256-cisco")]
    Aes256Cisco,
}

impl Default for RecoverySettings {
    fn default() -> Self {
        Self {
            trap_listen: None,
            communities: vec!["public".to_owned()],
            trap_confirm: TrapConfirm::Trust,
            trap_oids: ["1.3.6.1.6.3.1.1.5.1", "1.3.6.1.6.3.1.1.5.2", "1.3.6.1.6.3.1.1.5.4"].map(str::to_owned).into(),
            trap_proxies: Vec::new(),
            snmp_user: Vec::new(),
            probe: None,
            probe_max: Duration::from_secs(300),
            probe_timeout: Duration::from_secs(3),
            signal_listen: None,
            signal_secret_file: None,
            settle: Duration::ZERO,
        }
    }
}
