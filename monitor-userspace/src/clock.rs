//! The two clocks that the rules are told: the wall's, for people and the store, and the kernel's own.

use std::time::Duration;

use monitor_core::{
    domain::{ClockOffset, ClockReading, ClockStep, MonotonicNs, SteadyClock, UnixMs},
    port::Clock,
};
use monitor_store::{LocalStore, StoreError, clock};
use nix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

/// Reads a clock.
pub trait Now {
    /// Now.
    #[must_use]
    fn now() -> Self;
}

impl Now for UnixMs {
    fn now() -> Self {
        clock::now()
    }
}

/// By the clock that the programs in the kernel read.
impl Now for MonotonicNs {
    fn now() -> Self {
        let now =
            clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec());
        Self(u64::try_from(now).unwrap_or(0))
    }
}

/// The clocks of this host.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    /// Whether the database's times move with the wall clock's steps: not if others write to it too.
    pub adopts_steps: bool,
}

impl Clock for SystemClock {
    fn wall(&self) -> UnixMs {
        clock::now()
    }

    fn offset(&self) -> ClockOffset {
        clock::offset()
    }

    fn reading(&self) -> Option<ClockReading> {
        self.adopts_steps.then(clock::reading)
    }

    fn adopt(&self, ahead: ClockOffset) {
        clock::adopt(ahead);
    }
}

/// Begins the clock of this process, before anything is dated by it.
pub(crate) async fn begin(store: &LocalStore) -> Result<SteadyClock, StoreError> {
    let (clock, step) = store.keep_clock(clock::reading(), clock::adopt).await?;
    if let Some(step) = step {
        say(&step);
    }
    Ok(clock)
}

/// The same; `None` where the database is a server's, whose times do not move with this host's clock.
pub(crate) async fn begin_alone(store: &LocalStore) -> Result<Option<SteadyClock>, StoreError> {
    if store.store().is_on_server() { Ok(None) } else { begin(store).await.map(Some) }
}

/// Follows the wall clock's steps until `cancel`, for a process without a core. Without a clock there is nothing to do.
pub(crate) async fn follow(
    store: LocalStore,
    kept: Option<SteadyClock>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let Some(mut kept) = kept else {
        cancel.cancelled().await;
        return Ok(());
    };
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            _ = second.tick() => {}
        }
        if kept.follow(&clock::reading()).is_none() {
            continue;
        }
        match begin(&store).await {
            Ok(clock) => kept = clock,
            Err(error) => {
                clock::adopt(kept.ahead);
                tracing::error!(%error, "the wall clock has stepped, and the store's times cannot be moved yet");
            }
        }
    }
}

/// One line for the journal.
pub(crate) fn say(step: &ClockStep) {
    let ahead = step.by > 0;
    tracing::warn!(
        by = %humantime::format_duration(Duration::from_millis(step.by.unsigned_abs())),
        "the wall clock was set {}: what is waited for is as far away as before",
        if ahead { "ahead" } else { "back" }
    );
}

#[cfg(test)]
mod tests {
    use super::{Clock as _, MonotonicNs, Now as _, SystemClock, UnixMs};

    #[test]
    fn the_kernels_now_is_the_walls_now() {
        let converted = SystemClock { adopts_steps: false }.offset().unix(MonotonicNs::now());
        assert!((converted.0 - UnixMs::now().0).abs() < 1000);
    }
}
