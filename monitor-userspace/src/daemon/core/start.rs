//! The start: from the store, and from what the kernel noted while no daemon ran.
//!
//! Out: a core whose kernel has the marks of the store's outages, and a store that has what an earlier daemon could not commit.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use monitor_common::map;
use monitor_core::{
    config::Config,
    domain::{Service, UnixMs},
    outage::{Actions, Machine, Observation},
};
use monitor_store::Store;
use tokio_util::sync::CancellationToken;

use super::{Core, Turn, Wiring, commands::read_book};
use crate::{
    clock::Now as _,
    kernel::{Events, Kernel},
};

impl Core {
    /// Goes on from the store and from what the kernel noted meanwhile.
    pub(in crate::daemon) async fn start(
        config: &Config,
        kernel: Kernel,
        events: Events,
        store: Store,
        wiring: Wiring,
    ) -> Result<Self> {
        let restored = store.restore().await.context("reading the outages")?;
        let restored_services: Vec<_> = restored.outages.iter().map(|outage| outage.service).collect();
        let (machine, actions) = Machine::restore(config.rules(), restored.outages, restored.next_outage);
        let shared = config.is_shared();
        let book = read_book(&wiring.book, &store, shared).await.context("reading the address book")?;
        let mut core = Self {
            machine,
            kernel,
            events,
            backlog: Vec::new(),
            store,
            book,
            wiring,
            answers_seen: false,
            newest: 0,
            services: 0,
            seconds: 0,
            kept_until: UnixMs::now(),
            store_error: None,
            stopping: CancellationToken::new(),
            guarded: config.guard.iter().map(|guard| guard.port).collect(),
            doubted: HashMap::new(),
            shared,
        };
        let learned = core.store.learned_services().await.context("reading the learned services")?;
        // The latest; the rest would leave no room for new ones.
        let learned = learned.into_iter().map(|(service, _)| service).take(map::SERVICES_ENTRIES / 4 * 3);
        core.kernel.remember_services(learned)?;
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
            if let Some(at) = self.kernel.answered_while_failed(*service)? {
                let at = self.kernel.clock().unix(at);
                self.observe(Observation::Answered { service: *service, client: None, at }, &mut turn);
            }
        }
        let mut stale = self.kernel.marks_beyond(services)?;
        stale.extend(restored.marks);
        // In front: a failed service that answered meanwhile is marked recovered again by the turn's own marks.
        turn.actions.marks.splice(0..0, stale);
        turn.actions.changes.splice(0..0, restored.changes);
        turn.actions.probes.splice(0..0, restored.probes);
        self.finish(turn).await
    }
}
