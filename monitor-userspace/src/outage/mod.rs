//! The outage rules: observations and time in, actions out.
//!
//! No I/O, no clock and no async in here. [`Machine`] is told what happened and when, and answers with the changes for
//! the store, the marks for the kernel and the probes to send. It holds the outages themselves and never their waiting
//! lists: those live in the store, so memory does not grow with the number of clients.

mod action;
mod address;
mod evidence;
mod machine;
mod observation;
mod question;
mod time;

pub use action::{Actions, Change, Closing, Mark, Outage, Phase, Rules};
pub use address::{ClientAddr, OutageId, ParseServiceError, Service};
pub use evidence::{Failure, Level, Recovery};
pub use machine::{Machine, Tally};
pub use observation::{FailedAttempt, Observation, Standing, Target};
pub use question::Question;
pub use time::{MonotonicNs, UnixMs};
