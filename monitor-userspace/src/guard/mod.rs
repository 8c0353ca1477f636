//! Guards: ports of this host whose connection requests make the host check itself (D-1 to D-5).
//!
//! held SYN or new connection → [`monitor_core::guard::machine`] → [`crate::health`] checks, side by side → the frame goes
//! back into the stack, or RST. [`worker`] is the one task that owns all guards (`guarded`); `carry_out` does what their
//! machines decide, `sweep` corrects what the kernel cannot see; [`monitor_core::guard::frame`] mends and answers held
//! frames; [`connections`] knows and ends this host's TCP connections.

mod carry_out;
pub mod connections;
mod guarded;
pub mod line;
mod reply;
mod sweep;
pub mod worker;

pub use self::{
    line::{GuardLine, HealthWord},
    worker::Worker,
};
