//! The words that all rooms share: who tries, what is tried, when, and in which language people are told.

mod address;
mod attempt_mask;
pub mod byte_order_mark;
mod language;
pub(crate) mod net;
mod steady_clock;
pub mod text_file;
mod time;
pub mod wall_clock;

pub use self::{
    address::{ClientAddr, OutageId, ParseServiceError, Service},
    attempt_mask::AttemptMask,
    language::Language,
    net::ClientNet,
    steady_clock::{ClockReading, SteadyClock},
    time::{ClockOffset, ClockStep, Moment, MonotonicNs, UnixMs},
};
