//! Ringback: sees which clients failed to reach which server, and mails exactly those when the server is back.
//!
//! `packet -> kernel verdict -> event -> pure state machine -> durable store -> mail`: [`kernel`] loads the eBPF
//! programs and turns their events into observations, [`outage`] decides, [`store`] keeps, [`notify`] tells.

pub mod cli;
pub mod clock;
pub mod control;
pub mod core;
mod counters;
pub mod daemon;
pub mod guard;
pub mod health;
mod host;
mod interface;
pub mod kernel;
pub mod notify;
pub mod page;
pub mod parts;
pub mod peer;
pub mod port;
pub mod recovery;
pub mod relay;
mod secret;
pub mod standby;
mod tls;
