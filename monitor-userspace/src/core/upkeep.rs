//! What is done each second, minute and hour: services are counted and kept, what `status` shows is published.

use std::time::Duration;

use anyhow::Result;
use monitor_common::{Counter, ServiceFlags, ServiceState, map};
use monitor_core::{
    domain::{MonotonicNs, Service, UnixMs},
    port::Clock,
};

use super::{Core, Turn};
use crate::{
    clock,
    kernel::{self, EventSource, KernelPort},
};

/// Between two looks through the kernel's table of services.
const SWEEP_SECONDS: u64 = 60;

/// How long suspicions are remembered that came to nothing. Where paths are mixed, or a barred client knocks, there may be
/// many.
pub(crate) const SUSPICIONS: Duration = Duration::from_secs(3600);

/// How much longer than a time-out reports may wait for room: a turn of the daemon and some looks of the timer.
const HELD_LONGER: Duration = Duration::from_secs(1);

/// Between two notes in the store of when learned services last answered; a multiple of [`SWEEP_SECONDS`].
const KEEP_SECONDS: u64 = 3600;

impl<K: KernelPort, E: EventSource, C: Clock> Core<K, E, C> {
    pub(super) async fn every_second(&mut self, turn: &mut Turn) {
        self.seconds += 1;
        self.kernel.tend().await;
        self.follow_clock().await;
        self.offset = self.clock.offset();
        self.kernel.flush_log();
        if self.seconds.is_multiple_of(SWEEP_SECONDS) {
            match self.sweep_services() {
                Ok(answers) => turn.learned.extend(answers),
                Err(error) => tracing::error!(%error, "services cannot be looked through"),
            }
            if let Err(error) = self.store.store().forget_suspicions(self.clock.wall().before(SUSPICIONS)).await {
                tracing::error!(%error, "old suspicions stay in the store");
            }
            if let Err(error) = self.kernel.rest() {
                tracing::error!(%error, "the stand-in page's program stays where nobody needs it");
            }
        }
        if !self.intake.answers_seen()
            && let Err(error) = self.look_for_answers()
        {
            tracing::error!(%error, "counters cannot be read");
        }
        self.publish();
    }

    /// A step of the wall clock moves what was noted, here as in the store; and once a minute it is noted how late it is.
    async fn follow_clock(&mut self) {
        let Some((adopted, reading)) = self.adopted.clone().zip(self.clock.reading()) else { return };
        if adopted.follow(&reading).is_none() && !self.seconds.is_multiple_of(SWEEP_SECONDS) {
            return;
        }
        let clock = self.clock.clone();
        match self.store.keep_clock(reading, move |ahead| clock.adopt(ahead)).await {
            Ok((clock, step)) => {
                self.adopted = Some(clock);
                let Some(step) = step else { return };
                clock::say(&step);
                self.machine.clock_stepped(&step);
                self.steady = self.steady.moved(&step);
                self.kept_until = self.kept_until.moved(&step);
            }
            Err(error) => {
                self.clock.adopt(adopted.ahead);
                tracing::error!(%error, "how late it is cannot be noted");
            }
        }
    }

    /// Counts the services, makes room for new ones, and once an hour returns the latest answers for the store.
    pub(super) fn sweep_services(&mut self) -> Result<Vec<(Service, UnixMs)>> {
        let services = self.kernel.services()?;
        let surplus = kernel::surplus(&services, map::SERVICES_ENTRIES);
        for service in &surplus {
            self.kernel.forget(*service)?;
        }
        if !surplus.is_empty() {
            tracing::warn!(
                forgotten = surplus.len(),
                "the table of services was nearly full; those that answered longest ago are forgotten"
            );
        }
        let answered = |state: &ServiceState| state.flags & ServiceFlags::ANSWERED != 0;
        self.services = services.iter().filter(|(_, state)| answered(state)).count() - surplus.len();
        if !self.seconds.is_multiple_of(KEEP_SECONDS) {
            return Ok(Vec::new());
        }
        let since = std::mem::replace(&mut self.kept_until, self.clock.wall());
        let answered = services
            .into_iter()
            .filter(|(_, state)| state.last_answer_ns != 0)
            .map(|(service, state)| (service, self.offset.unix(MonotonicNs(state.last_answer_ns))));
        Ok(answered.filter(|(_, answered)| *answered >= since).collect())
    }

    pub(super) fn look_for_answers(&mut self) -> Result<()> {
        if self.kernel.count(Counter::Answers)? > 0 {
            self.intake.note_answers();
        }
        Ok(())
    }

    /// A report that finds no room waits for its attempt's next look of the timer.
    pub(super) fn look_for_waiting_reports(&mut self) {
        match self.kernel.count(Counter::RingFull) {
            Ok(full) if full == self.ring_full => {}
            Ok(full) => {
                self.ring_full = full;
                self.hold_knowledge();
            }
            Err(error) => {
                tracing::error!(%error, "whether reports wait in the kernel cannot be read");
                self.hold_knowledge();
            }
        }
    }

    /// Also at the start: nobody knows what waits since the daemon before.
    pub(super) fn hold_knowledge(&mut self) {
        let now = self.clock.offset().kernel(self.clock.wall());
        self.waiting_until = now + self.time_out + HELD_LONGER;
    }

    /// Publishes what `status` and the metrics show.
    pub(super) fn publish(&mut self) {
        let counters = self.kernel.counters().unwrap_or_default();
        self.look_for_waiting_reports();
        self.wiring.state.send_modify(|state| {
            state.interfaces = self.kernel.attached().to_vec();
            state.unwatched = self.kernel.unwatched().to_vec();
            // The first look says what was lost before.
            if !state.counters.is_empty() && losses(&counters) > losses(&state.counters) {
                state.lost = Some(self.clock.wall());
            }
            state.counters = counters;
            state.services = self.services;
            state.unreadable_events = self.events.unreadable();
            state.tally = self.machine.tally();
            state.answers_seen = self.intake.answers_seen();
            state.store_error.clone_from(&self.store_error);
        });
    }
}

fn losses(counters: &[(Counter, u64)]) -> u64 {
    counters.iter().filter(|(counter, _)| counter.is_loss()).map(|(_, count)| count).sum()
}
