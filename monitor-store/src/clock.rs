//! The wall clock, for times that a transaction writes.

use std::time::{SystemTime, UNIX_EPOCH};

use monitor_core::domain::UnixMs;

/// Now.
pub(crate) fn now() -> UnixMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
