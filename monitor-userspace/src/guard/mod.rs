//! Guards: ports of this host whose connection requests make the host check itself (D-1 to D-5).
//!
//! held SYN or new connection → [`machine`] (pure) → checks, side by side → the frame goes back into the stack, or RST.
//! [`worker`] carries out what the machines of all guards decide; [`checks`] look at the host; [`frame`] mends and answers
//! held frames; [`connections`] knows and ends this host's TCP connections.

pub mod checks;
pub mod connections;
pub mod frame;
pub mod line;
pub mod machine;
mod reply;
pub mod worker;

pub use line::{CheckLine, GuardLine, HealthWord};
pub use worker::{Worker, is_local};
