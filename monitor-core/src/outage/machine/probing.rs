//! When to probe a failed service: back-off with jitter, capped (F-14).

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use super::Machine;
use crate::{
    domain::{ClockStep, OutageId, UnixMs},
    outage::{Actions, Rules},
};

/// First pause of a probe that a trap asked for while probes are off otherwise.
const CONFIRM_PAUSE: Duration = Duration::from_secs(1);

/// The schedule of one outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probing {
    pub(super) next: UnixMs,
    pause: Duration,
    tries: u32,
}

impl Probing {
    /// The schedule of an outage that opens at `now`; none where probes are off.
    pub(super) fn first(rules: &Rules, now: UnixMs) -> Option<Self> {
        let pause = rules.probe_interval?;
        Some(Self { next: now + pause, pause, tries: 0 })
    }

    /// The schedule of an outage of which a trap says that it may be over: at once, then with back-off.
    pub(super) fn confirm(rules: &Rules, now: UnixMs) -> Self {
        Self { next: now, pause: rules.probe_interval.unwrap_or(CONFIRM_PAUSE), tries: 0 }
    }

    /// The same after a step of the wall clock.
    pub(super) fn moved(self, step: &ClockStep) -> Self {
        Self { next: self.next.moved(step), ..self }
    }

    /// The schedule after a probe at `now`.
    fn after_probe(self, rules: &Rules, id: OutageId, now: UnixMs) -> Self {
        let next = now + self.pause.mul_f64(jitter(id, self.tries));
        let pause = (self.pause * 2).min(rules.probe_max_interval.max(self.pause));
        Self { next, pause, tries: self.tries.saturating_add(1) }
    }
}

/// Between 0.8 and 1, spread over outages and tries, and the same whenever it is asked: the machine stays pure.
fn jitter(id: OutageId, tries: u32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (id, tries).hash(&mut hasher);
    1.0 - 0.2 * f64::from((hasher.finish() >> 48) as u16) / f64::from(u16::MAX)
}

impl Machine {
    /// Asks for a probe of an open outage if its time has come.
    pub(super) fn probe_if_due(&mut self, id: OutageId, now: UnixMs, actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        if let Some(probing) = tracked.probing
            && probing.next <= now
        {
            actions.probes.push(tracked.outage.service);
            tracked.probing = Some(probing.after_probe(&self.rules, id, now));
        }
        self.put(tracked);
    }
}
