//! Ringback: sees which clients failed to reach which server, and mails exactly those when the server is back.
//!
//! `packet -> kernel verdict -> event -> pure state machine -> durable store -> mail`: [`kernel`] loads the eBPF
//! programs and reads their events, [`core`] has [`monitor_core::outage`] judge them and commits the
//! result to [`monitor_store`], and [`notify`] delivers the letters.
//!
//! In: a configuration file, events of the kernel, datagrams and requests. Out: mails, marks in the kernel, answers.
//! The rooms in here are shells: they own sockets, tasks and files, and hold no rule. [`parts`] turns the
//! configuration into what the rooms are started with, [`daemon`] starts and stops them, [`port`] is the one way to
//! the core, and [`cli`] has one file per verb.

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
mod listener;
pub mod notify;
mod outgoing;
pub mod page;
pub mod parts;
pub mod peer;
pub mod port;
pub mod recovery;
pub mod relay;
mod secret;
pub mod standby;
mod text_file;
mod tls;
