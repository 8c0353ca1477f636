//! The SNMP manager: traps and informs of recovered servers (F-10).
//!
//! In: datagrams of agents. Out: observations for the core, acknowledgements of informs after the commit, and a count
//! for each datagram. What a datagram says is [`monitor_core::snmp`]'s; `keys` brings SNMPv3's cryptography, `receiver` does
//! the I/O.

mod counters;
mod keys;
mod receiver;

pub use self::{
    counters::Counters,
    receiver::{Engines, Receiver, SnmpError, Trust, UserError},
};
