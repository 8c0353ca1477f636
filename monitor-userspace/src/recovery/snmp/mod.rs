//! The SNMP manager: traps and informs of recovered servers (F-10).
//!
//! In: datagrams of agents. Out: observations for the core, acknowledgements of informs after the commit, and a count
//! for each datagram. `message` decodes v1 and v2c, `usm` is SNMPv3, `meaning` says what an OID means, `speaker` who is
//! spoken for, `receiver` does the I/O.

mod counters;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod meaning;
mod message;
mod receiver;
mod speaker;
mod usm;

pub use counters::Counters;
pub use receiver::{Engines, Receiver, SnmpError};
