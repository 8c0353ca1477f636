//! The configuration file: its keys, defaults, checks and error texts.

mod check;
mod check_peers;
mod check_relay;
mod derived;
pub mod duration;
pub mod duration_option;
pub mod duration_or_off;
mod guard;
mod load;
mod notice;
mod parse;
mod peers;
mod recovery;
mod relay;
#[cfg(test)]
mod sample_tests;
mod settings;
mod standin;
mod webhook;

pub use guard::{CheckKind, CheckSetting, GuardEnd, GuardFail, GuardMode, GuardSetting};
pub use load::{ConfigError, Mistake, Presence, load, mistake, parse};
pub use notice::NoticeSetting;
pub use peers::{Application, Heartbeat, PeerPath, PeerSetting, Standby, StandbyGroup};
pub use relay::{Deliver, GatewaySetting, KeySetting, Mailbox, RelaySetting};
pub use settings::*;
pub use webhook::WebhookSetting;
