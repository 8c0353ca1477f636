//! The suite on embedded SQLite.
#![expect(clippy::duplicate_mod, reason = "each engine runs the same files")]

pub(super) use super::*;

type Bed = super::Bed<File>;

#[path = "addresses.rs"]
mod addresses;
#[path = "clock.rs"]
mod clock;
#[path = "closing.rs"]
mod closing;
#[path = "crash.rs"]
mod crash;
#[path = "model.rs"]
mod model;
#[path = "notices.rs"]
mod notices;
#[path = "outbox.rs"]
mod outbox;
#[path = "page.rs"]
mod page;
#[path = "relay.rs"]
mod relay;
#[path = "retention.rs"]
mod retention;
#[path = "shared.rs"]
mod shared;
#[path = "snmp.rs"]
mod snmp;
#[path = "upgrade.rs"]
mod upgrade;
#[path = "waiting.rs"]
mod waiting;
