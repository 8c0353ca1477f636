//! The configuration file: its keys, defaults, checks and error texts.

mod check;
mod check_peers;
mod check_relay;
mod derived;
mod document;
pub mod duration;
pub mod duration_option;
pub mod duration_or_off;
mod guard;
mod interfaces;
mod key;
mod mistake;
mod notice;
mod parse;
mod peers;
mod recovery;
mod relay;
#[cfg(test)]
mod sample_tests;
mod secret;
mod settings;
mod source;
mod standin;
mod watch_list;
mod webhook;

pub use self::{
    check::{NoDatabase, check},
    check_peers::{NoHostName, host_name, name_taken},
    guard::{CheckKind, CheckSetting, GuardEnd, GuardFail, GuardMode, GuardSetting},
    interfaces::{DEFAULT_ROUTE, FORWARDING, is_pattern},
    key::Key,
    mistake::{ConfigError, Mistake, Mistakes, Place, Remedy},
    notice::{NoticeKind, NoticeSetting},
    peers::{Application, Heartbeat, PeerPath, PeerSetting, Standby, StandbyGroup},
    relay::{Deliver, GatewaySetting, KeySetting, Mailbox, RelaySetting},
    secret::SecretError,
    settings::*,
    source::{Reading, Source, parse},
    watch_list::{TooManyPorts, standing, watch_rules},
    webhook::{WebhookSetting, webhook_name},
};
