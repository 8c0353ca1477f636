//! Wires the rooms together: start, reload, shutdown.
//!
//! Order of start: stores, what listens, programs, guards, interfaces, page, core, then what feeds it and what it feeds.
//! Order of shutdown: what feeds the core, the core (which commits what is in the ring buffer), what is shared, the outbox
//! (which finishes what is on its way).

mod deciding;
mod in_force;
mod listeners;
mod relay;
mod replication;
mod stores;
mod supervise;
mod telling;
mod watching;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use monitor_core::domain::UnixMs;
use tokio::sync::Notify as Wake;
use tokio_util::sync::CancellationToken;

pub use self::relay::run as relay;
use self::{
    deciding::Deciding,
    in_force::InForce,
    listeners::Listeners,
    replication::Replicator,
    stores::Stores,
    supervise::{CORE, PAGE, Tasks},
    telling::Telling,
    watching::Watching,
};
use crate::{
    clock::Now as _,
    control::{self, GatewayView, Role},
    listener::{self, Bounds, share_files},
    page::Page,
    parts::{Loaded, Parts},
    peer, port,
};

/// How long ended outages and letters are kept, and services that do not answer any more.
const HISTORY: Duration = Duration::from_secs(90 * 24 * 3600);

/// What ends when, in this order; the last two together.
#[derive(Default)]
struct Ends {
    /// What feeds the core.
    feeding: CancellationToken,
    /// The core.
    deciding: CancellationToken,
    /// What is left to share with other gateways.
    sharing: CancellationToken,
    /// The outbox.
    telling: CancellationToken,
}

impl Ends {
    async fn in_order(&self, tasks: &mut Tasks) -> Result<()> {
        self.feeding.cancel();
        // Before the core, which the last answers wait for and whose end takes the program off the interfaces.
        tasks.finished(PAGE).await?;
        self.deciding.cancel();
        tasks.finished(CORE).await?;
        self.sharing.cancel();
        self.telling.cancel();
        tasks.all_finished().await
    }
}

/// Runs the daemon until SIGTERM or SIGINT. The file at `path` is read again at SIGHUP.
pub async fn run(loaded: Loaded, path: PathBuf) -> Result<()> {
    let Loaded { config, parts } = loaded;
    let Parts { database, policy, mail, webhooks, relays, mailbox, page, trust, signal_secret, identity, .. } = parts;
    let shares = share_files(if config.standin.enabled { config.standin.connections } else { 0 });
    let socket = control::listen(&config.control.socket).await?;
    let mut stores = Stores::open(&config, &database, policy.clone()).await?;
    let (mut in_force, delivery) = InForce::start(path, &config, policy, mail, webhooks, page)?;
    let (to_core, requests) = port::queue();
    let (letters, ends, mut tasks) = (Arc::new(Wake::new()), Ends::default(), Tasks::default());

    // Bound before the kernel is touched: a port that is taken must not leave programs behind.
    let listeners = Listeners::bind(&config, trust, signal_secret, &stores.local, &to_core).await?;
    let room = (&mut tasks, &ends.feeding);
    let watching = Watching::start(&config, &stores, &to_core, (in_force.page(), shares), room).await?;
    let Watching { kernel, events, guards, page, limits } = watching;
    let heartbeats = peer::start(&config, identity, &stores.store, &letters).await?;
    let deciding = Deciding::start(&config, (kernel, events), requests, &stores, &letters).await?;
    let telling = Telling::new(&config, delivery, mailbox, relays, (&stores.store, &stores.outbox), &letters);
    let (replicator, shared) = Replicator::start(&mut stores, &to_core, &letters);

    let peers = heartbeats.as_ref().map(|running| running.peers.clone());
    let core = deciding.state.clone();
    let page_view = page.as_ref().and_then(Page::view);
    let view = GatewayView { core, guards, page: page_view, limits, shared, peers: peers.clone() };
    let context = control::ControlContext {
        store: stores.store.clone(),
        core: to_core.clone(),
        delivery: in_force.test_mails(),
        snmp: listeners.snmp.as_ref().map(|snmp| snmp.counters()),
        mailbox: telling.poller(),
        imports: Arc::default(),
        started: UnixMs::now(),
        role: Role::Gateway(Arc::new(view)),
    };

    let questions =
        deciding.spawn(&mut tasks, &config, &to_core, (&telling.names(), &stores), (&ends.deciding, &ends.feeding));
    let control = control::router(context.clone());
    let served = listener::serve(socket, control, Bounds::of_operators(shares), ends.feeding.clone());
    tasks.spawn_sure("control socket", served);
    let bounds = (Bounds::of_network(shares), &ends.feeding);
    listeners.spawn(&mut tasks, control::metrics_router(context), peers.as_ref(), bounds);
    if let Some(heartbeats) = heartbeats {
        tasks.spawn("heartbeats", heartbeats.run(ends.feeding.clone()));
    }
    if let Some(page) = page {
        tasks.spawn(PAGE, page.run(ends.feeding.clone()));
    }
    telling.spawn(&mut tasks, (&ends.feeding, &ends.telling));
    if let Some(replicator) = replicator {
        tasks.spawn("shared database", replicator.run(questions, ends.sharing.clone()));
    }

    supervise::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    let result = supervise::until_stopped(&mut tasks, async || in_force.reload(&to_core, &stores.store).await).await;
    supervise::stopping();
    ends.in_order(&mut tasks).await?;
    tracing::info!("stopped");
    result
}
