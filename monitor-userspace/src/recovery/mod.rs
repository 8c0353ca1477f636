//! What does not come by the watched traffic: SNMP traps, probes, authenticated signals, and clients that ask to be told.
//!
//! In: datagrams, connections, requests. Out: [`Reported`] observations for the core. Nothing in here decides what ends
//! an outage; that is the machine's.

pub mod asked;
pub mod probe;
pub mod signal;
pub mod snmp;

use monitor_core::{outage::Observation, snmp::RemoteEngine};
use tokio::sync::oneshot;

/// An observation, and whom to tell once what follows from it is committed to the store.
#[derive(Debug)]
pub struct Reported {
    /// What was observed.
    pub observation: Observation,
    /// What must be committed with it, so that the SNMPv3 trap it came by has no effect a second time.
    pub seen: Option<RemoteEngine>,
    /// Completed after the commit.
    pub committed: oneshot::Sender<()>,
}
