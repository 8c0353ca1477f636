//! The start: from the store, and from what the kernel reported while no daemon ran.
//!
//! Out: a core whose kernel has the marks of the store's outages, and a store that has what an earlier daemon could not commit.

use anyhow::{Context as _, Result};
use monitor_common::map;
use monitor_core::{
    domain::{Moment, MonotonicNs, Service},
    outage::{Actions, Intake, Machine, Restored, Span},
    port::Clock,
};
use monitor_store::LocalStore;
use tokio_util::sync::CancellationToken;

use super::{Core, Ports, Settings, Turn, Wiring, requests::read_book};
use crate::kernel::{EventSource, KernelPort};

impl<K: KernelPort, E: EventSource, C: Clock> Core<K, E, C> {
    /// Goes on from the store and from what the kernel noted meanwhile.
    pub(crate) async fn start(
        settings: Settings,
        ports: Ports<K, E, C>,
        store: LocalStore,
        wiring: Wiring,
    ) -> Result<Self> {
        let Settings { rules, guarded, shared, time_out } = settings;
        let Ports { kernel, mut events, clock } = ports;
        let ring = kernel.maps_id()?;
        let adopted = match clock.reading() {
            Some(reading) => {
                let clock = clock.clone();
                let kept = store.keep_clock(reading, move |ahead| clock.adopt(ahead)).await;
                Some(kept.context("reading the clock")?.0)
            }
            None => None,
        };
        let offset = clock.offset();
        let read = store.read_up_to().await.context("reading how far reports were taken")?;
        match read.filter(|read| read.ring == ring) {
            // What a killed daemon had committed, and not let go.
            Some(read) => events.skip_to(read.position),
            // The machine was started again, or this is another database.
            None => tracing::debug!("the kernel's tables are new to this database"),
        }
        let steady = read.filter(|read| read.ring == ring).and_then(|read| read.steady).unwrap_or(offset);
        let mut restored = store.restore().await.context("reading the outages")?;
        if read.is_none_or(|read| read.ring != ring) {
            forget_spans(&mut restored);
        }
        let restored_services: Vec<_> = restored.outages.iter().map(|outage| outage.service).collect();
        let now = Moment { wall: clock.wall(), offset, steady, known: MonotonicNs::default() };
        let (machine, actions) = Machine::restore(rules, restored, &now);
        let book = read_book(&wiring.book, &store, shared).await.context("reading the address book")?;
        let mut core = Self {
            machine,
            kernel,
            events,
            offset,
            steady,
            adopted,
            known: MonotonicNs::default(),
            waiting_until: MonotonicNs::default(),
            ring_full: 0,
            time_out,
            ring,
            kept_until: clock.wall(),
            clock,
            store,
            book,
            wiring,
            intake: Intake::default(),
            services: 0,
            seconds: 0,
            store_error: None,
            stopping: CancellationToken::new(),
            guarded,
            shared,
        };
        let learned = core.store.store().learned_services().await.context("reading the learned services")?;
        // The latest; the rest would leave no room for new ones.
        let learned: Vec<_> =
            learned.into_iter().map(|(service, _)| service).take(map::SERVICES_ENTRIES / 4 * 3).collect();
        core.kernel.remember_services(&learned)?;
        core.hold_knowledge();
        core.look_for_answers()?;
        core.sweep_services()?;
        core.catch_up(actions, &restored_services).await?;
        Ok(core)
    }

    /// What was reported while no daemon lived, or was read by one that did not live to commit it: all in the order in which
    /// it happened.
    async fn catch_up(&mut self, restored: Actions, services: &[Service]) -> Result<()> {
        let mut turn = Turn::default();
        while !self.take_rest(&mut turn) {}
        let mut first = restored;
        // In front: a failed service that answered meanwhile is marked recovered again by the turn's own marks.
        first.marks.splice(0..0, self.kernel.marks_beyond(services)?);
        first.append(std::mem::take(&mut turn.actions));
        turn.actions = first;
        self.finish(turn).await
    }
}

/// The kernel's clock began anew, or its tables did: its times of before say nothing now. All that was reported then was
/// before anything that is reported from now on.
fn forget_spans(restored: &mut Restored) {
    for outage in &mut restored.outages {
        let until = outage.span.until.map(|_| MonotonicNs::default());
        outage.span = Span { until, ..Span::default() };
    }
    for ended in &mut restored.ended {
        ended.outage.span = Span { until: Some(MonotonicNs::default()), ..Span::default() };
    }
}
