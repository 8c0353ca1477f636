//! What SNMP agents send (F-10): datagrams in, traps and informs out.
//!
//! `message` decodes v1 and v2c, `usm` is SNMPv3 with its users and replay windows; both read by `ber` and `pdu`. `meaning` says
//! what an OID means, `speaker` for whom a trap speaks, `report_limit` how many Reports one source gets.

mod ber;
mod engine;
pub mod meaning;
pub mod message;
mod pdu;
pub mod report_limit;
pub mod speaker;
pub mod usm;

pub use self::engine::{LocalEngine, RemoteEngine};
