//! Evidence of recovery that does not come by the watched traffic: SNMP traps, probes, authenticated signals.
//!
//! In: datagrams, connections, requests. Out: [`Reported`] observations for the core. Nothing in here decides what ends
//! an outage; that is the machine's.

pub mod probe;
pub mod signal;
pub mod snmp;

use tokio::sync::oneshot;

use crate::outage::Observation;

/// An observation, and whom to tell once what follows from it is committed to the store.
#[derive(Debug)]
pub struct Reported {
    /// What was observed.
    pub observation: Observation,
    /// Completed after the commit.
    pub committed: oneshot::Sender<()>,
}
