//! The start: from the store, and from what the kernel noted while no daemon ran.
//!
//! Out: a core whose kernel has the marks of the store's outages, and a store that has what an earlier daemon could not commit.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use monitor_common::map;
use monitor_core::{
    domain::Service,
    outage::{Actions, Intake, Machine},
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
        let Settings { rules, guarded, shared } = settings;
        let Ports { kernel, events, clock } = ports;
        let restored = store.restore().await.context("reading the outages")?;
        let restored_services: Vec<_> = restored.outages.iter().map(|outage| outage.service).collect();
        let (machine, actions) = Machine::restore(rules, restored.outages, restored.next_outage);
        let book = read_book(&wiring.book, &store, shared).await.context("reading the address book")?;
        let mut core = Self {
            machine,
            kernel,
            events,
            offset: clock.offset(),
            kept_until: clock.wall(),
            clock,
            backlog: Vec::new(),
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
        core.look_for_answers()?;
        core.sweep_services()?;
        core.catch_up(actions, &restored_services).await?;
        Ok(core)
    }

    /// What an earlier daemon had read but not committed when it was killed: clients that the kernel noted as reported
    /// after the last commit, and answers of failed services.
    async fn catch_up(&mut self, restored: Actions, services: &[Service]) -> Result<()> {
        let mut turn = Turn::default();
        let mut read = HashSet::new();
        for event in self.events.take(usize::MAX) {
            read.insert((event.client, event.server, event.server_port));
            self.take(&event, &mut turn);
        }
        for event in self.kernel.uncommitted()? {
            if !read.contains(&(event.client, event.server, event.server_port)) {
                self.take(&event, &mut turn);
            }
        }
        for service in services {
            if let Some(state) = self.kernel.service(*service)?
                && let Some(observation) = Intake::answered_while_marked(*service, &state, self.offset)
            {
                self.observe(observation, &mut turn);
            }
        }
        let mut first = restored;
        // In front: a failed service that answered meanwhile is marked recovered again by the turn's own marks.
        first.marks.splice(0..0, self.kernel.marks_beyond(services)?);
        first.append(std::mem::take(&mut turn.actions));
        turn.actions = first;
        self.finish(turn).await
    }
}
