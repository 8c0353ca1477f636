//! The clock of this process: the wall clock as it was last adopted ([`SteadyClock`](monitor_core::domain::SteadyClock)), or,
//! where none was, as it is.
//!
//! One for the whole process, as the host has one: whatever is noted, in whichever task, is of the same clock.

use std::sync::atomic::{AtomicI64, Ordering};

use monitor_core::domain::{ClockOffset, ClockReading, MonotonicNs, UnixMs};
use nix::time::{ClockId, clock_gettime};

/// No clock was adopted: a command, or a gateway that shares a database and goes by the clock that all of them have.
const NONE: i64 = i64::MIN;

/// How far the adopted clock is ahead of the boot's, in nanoseconds.
static ADOPTED: AtomicI64 = AtomicI64::new(NONE);

/// Now.
#[must_use]
pub fn now() -> UnixMs {
    ClockOffset::from_nanoseconds(ahead()).unix(boot_time())
}

/// How far the clock is ahead of the kernel's, which the programs in the kernel read, and which stands still while the host
/// sleeps.
#[must_use]
pub fn offset() -> ClockOffset {
    let slept = read(ClockId::CLOCK_BOOTTIME).saturating_sub(read(ClockId::CLOCK_MONOTONIC));
    ClockOffset::from_nanoseconds(ahead().saturating_add(slept))
}

/// The clocks as they are.
#[must_use]
pub fn reading() -> ClockReading {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
    ClockReading { boot, ahead: ClockOffset::from_nanoseconds(measured()), at: boot_time() }
}

/// From now on the time is that of the boot's clock and this.
pub fn adopt(ahead: ClockOffset) {
    ADOPTED.store(ahead.nanoseconds(), Ordering::Relaxed);
}

/// The clock that was adopted; what was read under another one may be dated by that one.
#[must_use]
pub fn adopted() -> Option<ClockOffset> {
    Some(ADOPTED.load(Ordering::Relaxed)).filter(|ahead| *ahead != NONE).map(ClockOffset::from_nanoseconds)
}

fn ahead() -> i64 {
    adopted().map_or_else(measured, ClockOffset::nanoseconds)
}

fn measured() -> i64 {
    read(ClockId::CLOCK_REALTIME).saturating_sub(read(ClockId::CLOCK_BOOTTIME))
}

fn boot_time() -> MonotonicNs {
    MonotonicNs(u64::try_from(read(ClockId::CLOCK_BOOTTIME)).unwrap_or(0))
}

/// A clock that cannot be read does not exist on Linux; 0 is then as good as any time.
fn read(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
