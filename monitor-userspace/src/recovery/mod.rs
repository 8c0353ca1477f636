//! What does not come by the watched traffic: SNMP traps, probes and authenticated signals.
//!
//! In: datagrams, connections, requests. Out: [`monitor_core::port::Request`]s for the core. Nothing in here decides what ends
//! an outage; that is the machine's.

pub mod probe;
pub mod signal;
pub mod snmp;
