//! Servers that watch each other (O-1 to O-7).
//!
//! In: the peers' signals, and whether the own application works (a health check). Out: own signals, and notices when a peer is
//! down or back (`tell`). [`monitor_core::heartbeat::status`] is the status file of one peer; `watched` adds its timers, and
//! keeps it on the disk.

pub(super) mod tell;
pub(super) mod watched;
