//! Heartbeats between hosts: one protocol for hot standby ([`crate::standby`]) and for servers that watch each other
//! (`watch`). `docs/peer-protocol.md` has every byte of it.
//!
//! `wire` reads and writes messages, `session` decides which are fresh; both are pure.

pub mod session;
pub mod wire;
