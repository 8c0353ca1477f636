//! Ringback's whole path from a packet to a mail in one thread, by a clock of its own: one seed is one history.
//!
//! In: a [`Plan`], made from a seed. Out: a [`Report`]: what was missed, wrong or told twice, by what each client knows of its
//! own attempts. The outage machine, the intake, the store, the outbox and the decisions of the data path are the product's
//! own code. Clients, network, servers, the eBPF tables and the daemon's loop are simulated; see `docs/simulation.md`.

mod book;
pub mod datapath;
mod disk;
mod journal;
mod oracle;
mod plan;
mod play;
mod random;
mod shrink;
mod time;
mod world;

pub use self::{
    disk::Disk,
    oracle::{Mistake, Report, Slip},
    plan::{Attempt, Fault, FaultKind, Kill, Options, Plan, Scenario, Stack, StoreTrouble, Word},
    play::{play, play_aloud},
    shrink::{Shrunk, shrink},
};
