//! The core, and what only it feeds: probes, look-ups of servers' names, questions for other gateways.

use std::sync::Arc;

use anyhow::Result;
use monitor_core::{
    config::Config,
    domain::{OutageId, Service},
    outage::Question,
};
use tokio::sync::{Notify as Wake, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    replication,
    stores::Stores,
    supervise::{self, CORE, Named, Tasks},
};
use crate::{
    clock::SystemClock,
    core::{Core, Ports, Settings, State, Wiring},
    kernel::{Events, Kernel},
    notify::ServerNames,
    port::{CoreHandle, Requests},
    recovery::probe,
};

/// Probes and name look-ups that wait; more are left out and asked for again.
const WANTED: usize = 4096;

/// Caught up with the kernel, and ready to run.
pub(super) struct Deciding {
    core: Core<Kernel, Events, SystemClock>,
    probes: mpsc::Receiver<Service>,
    opened: mpsc::Receiver<(OutageId, Service)>,
    /// What other gateways are to be asked.
    questions: mpsc::Receiver<Question>,
    /// The core's numbers.
    pub(super) state: watch::Receiver<State>,
}

impl Deciding {
    /// `letters` wakes the outbox.
    pub(super) async fn start(
        config: &Config,
        (kernel, events): (Kernel, Events),
        requests: Requests,
        stores: &Stores,
        letters: &Arc<Wake>,
    ) -> Result<Self> {
        let (probes_in, probes) = mpsc::channel(WANTED);
        let (opened_in, opened) = mpsc::channel(WANTED);
        let (questions_in, questions) = mpsc::channel(replication::QUESTIONS);
        // `status` may ask before the core has said anything.
        let first = State {
            interfaces: kernel.attached().to_vec(),
            unwatched: kernel.unwatched().to_vec(),
            ..State::default()
        };
        let (state_in, state) = watch::channel(first);
        let wiring = Wiring {
            requests,
            probes: probes_in,
            opened: opened_in,
            questions: questions_in,
            letters: Arc::clone(letters),
            state: state_in,
            book: stores.store.clone(),
        };
        let settings = Settings {
            rules: config.rules(),
            guarded: config.guard.iter().map(|guard| guard.port).collect(),
            shared: config.is_shared(),
            time_out: config.watch.syn_timeout,
        };
        let ports = Ports { kernel, events, clock: SystemClock { adopts_steps: !config.is_shared() } };
        let core = Core::start(settings, ports, stores.local.clone(), wiring).await?;
        Ok(Self { core, probes, opened, questions, state })
    }

    /// Runs the core until `decided`, and what it feeds until `fed`. Hands on the questions.
    pub(super) fn spawn(
        self,
        tasks: &mut Tasks,
        config: &Config,
        to: &CoreHandle,
        (names, stores): (&Arc<ServerNames>, &Stores),
        (decided, fed): (&CancellationToken, &CancellationToken),
    ) -> mpsc::Receiver<Question> {
        tasks.spawn(CORE, self.core.run(decided.clone()));
        let probing = probe::run(self.probes, to.clone(), config.recovery.probe_timeout, fed.clone());
        tasks.spawn_sure("probes", probing);
        let named = match &stores.shared {
            None => Named::Alone(stores.store.clone()),
            Some((shared, gateway)) => Named::Shared(shared.clone(), gateway.clone()),
        };
        tasks.spawn_sure("names", supervise::name_servers(self.opened, Arc::clone(names), named, fed.clone()));
        self.questions
    }
}
