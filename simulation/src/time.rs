//! Lengths of time in nanoseconds, and when histories begin.

/// A microsecond.
pub(crate) const US: u64 = 1_000;
/// A millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// A second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// The kernel's clock when a history begins.
pub(crate) const BEGIN: u64 = 1000 * SECOND;
