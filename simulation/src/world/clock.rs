//! The clocks of a gateway, whose wall clock is set now and then.

use anyhow::Result;
use monitor_core::domain::{ClockOffset, ClockReading, MonotonicNs, UnixMs};

use super::{World, daemon::Stage};

/// The clocks at this moment.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) now: u64,
    pub(crate) offset: ClockOffset,
}

impl Clocks {
    pub(crate) fn wall(self) -> UnixMs {
        self.offset.unix(MonotonicNs(self.now))
    }
}

impl World<'_> {
    /// The clocks as this gateway's daemon reads them.
    pub(crate) fn clocks_of(&self, gateway: usize) -> Clocks {
        Clocks { offset: self.gateways[gateway].adopted, ..self.clocks() }
    }

    /// Where a second begins, or the daemon: a step of the wall clock is adopted, unless the database is not its own.
    pub(super) fn adopt(&mut self, gateway: usize) -> Result<()> {
        let Clocks { now, offset } = self.clocks();
        let it = &mut self.gateways[gateway];
        if self.shared.is_some() {
            it.adopted = offset;
            return Ok(());
        }
        let is_time = it.daemon.as_ref().is_none_or(|daemon| daemon.stage == Stage::Idle && now >= daemon.second);
        if !is_time {
            return Ok(());
        }
        let reading = ClockReading { boot: "simulated".to_owned(), ahead: offset, at: MonotonicNs(now) };
        let (clock, step) = self.disk.wait(it.store.keep_clock(reading, |_| {}))?;
        it.adopted = clock.ahead;
        if let (Some(step), Some(daemon)) = (step, &mut it.daemon) {
            daemon.clock_stepped(&step);
        }
        Ok(())
    }
}
