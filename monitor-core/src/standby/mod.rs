//! Hot standby with shared addresses: who is active, and when an active host says so again.

pub mod announcement;
pub mod defence;
pub mod machine;
