//! Hot standby (H-1 to H-8): several hosts have the same addresses, and one of them is seen to have them.
//!
//! In: beats of the other hosts, time, the state of the interface. Out: the kernel's gate is opened or closed, and caches
//! of others are corrected by `announce`. [`monitor_core::standby`] decides, `sharing` carries out; the thread of
//! [`crate::peer`] runs it.

pub mod announce;
mod report;
pub(crate) mod shared_link;
pub(crate) mod sharing;

pub(crate) use self::report::ModeChange;
pub use self::report::{GroupLine, HandOverError};
