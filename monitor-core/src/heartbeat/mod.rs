//! Heartbeats between hosts: what they look like on the wire, which of them are fresh, and what a watched host's signals
//! make of it. One protocol for hot standby and for servers that watch each other; `docs/peer-protocol.md` has every byte.

pub mod session;
pub mod status;
pub mod wire;
