//! The configuration file: its keys, defaults, checks and error texts.

mod check;
mod check_peers;
mod check_relay;
mod derived;
pub mod duration;
pub mod duration_option;
pub mod duration_or_off;
mod guard;
mod notice;
mod parse;
mod peers;
mod read;
mod recovery;
mod relay;
#[cfg(test)]
mod sample_tests;
mod settings;
mod standin;
mod watch_list;
mod webhook;

pub use self::{
    check::{Mistakes, check},
    check_peers::host_name,
    guard::{CheckKind, CheckSetting, GuardEnd, GuardFail, GuardMode, GuardSetting},
    notice::{NoticeKind, NoticeSetting, webhook_name},
    peers::{Application, Heartbeat, PeerPath, PeerSetting, Standby, StandbyGroup},
    read::{ConfigError, Mistake, parse, read},
    relay::{Deliver, GatewaySetting, KeySetting, Mailbox, RelaySetting},
    settings::*,
    watch_list::{standing, watch_rules},
    webhook::WebhookSetting,
};
