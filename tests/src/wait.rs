//! Waiting for a condition, with a limit: what tests do in place of sleeping.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Short beside everything that is waited for, long enough to leave the processor to it.
const POLL: Duration = Duration::from_millis(10);

/// Asks `condition` until it is true; fails with `what` in the message when `limit` has passed.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= end {
            bail!("waited {} s in vain: {what}", limit.as_secs_f32());
        }
        thread::sleep(POLL);
    }
    Ok(())
}
