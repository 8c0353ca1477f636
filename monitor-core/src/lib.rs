//! Ringback's rules, without I/O: observations and time go in, actions come out.
//!
//! Nothing in here waits, reads a clock, a file or the environment, or opens a socket. The shells in
//! `monitor-userspace` do that, and say what they saw. So every rule is tested in one thread, in no time, without
//! root.
//!
//! `domain` has the words that all rooms share. `config` is what the operator wrote; `outage` decides when an outage
//! opens and ends; `guard`, `standby` and `heartbeat` decide for guarded ports, shared addresses and pairs of hosts;
//! `mail` has the letters, the words of notices and the pacing of both; `relay` signs and checks the lists for a
//! relay; `snmp` reads what agents send. `port` is what the shells may say to the core that holds the outages, and
//! what it answers.

pub mod config;
pub mod domain;
pub mod guard;
pub mod heartbeat;
pub mod mail;
pub mod outage;
pub mod port;
pub mod relay;
pub mod snmp;
pub mod standby;
