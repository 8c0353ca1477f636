//! The outage rules: observations and time in, actions out.
//!
//! No I/O, no clock and no async in here. [`Machine`] is told what happened and when, and answers with the changes for
//! the store, the marks for the kernel and the probes to send. It holds the outages themselves and never their waiting
//! lists: those live in the store, so memory does not grow with the number of clients.

mod action;
mod evidence;
mod intake;
mod machine;
mod observation;
mod question;
mod restored;

pub use self::{
    action::{Actions, Change, Closing, LatestAttempt, Mark, Outage, Phase, Rules, Span},
    evidence::{Failure, Level, Recovery},
    intake::{Background, GuardFinding, Intake, Meaning},
    machine::{Machine, Tally},
    observation::{AnsweredAttempt, AnswersSeen, FailedAttempt, Observation, Silence, Standing, Target},
    question::Question,
    restored::{Ended, Restored},
};
