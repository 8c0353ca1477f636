//! Wires the tasks together: start, reload, shutdown.
//!
//! Order of start: stores, programs, guards, interfaces, core, then what feeds it and what it feeds. Order of shutdown: what
//! feeds the core, the core (which commits what is in the ring buffer), the outbox (which finishes what is on its way).

mod relay;
mod share;
mod stores;
mod supervise;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use monitor_core::{
    config::Config,
    domain::UnixMs,
    mail::{AddressEntry, notice::Notices},
    port::Policy,
};
use monitor_store::Store;
use tokio::sync::{Notify as Wake, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::{
    relay::run as relay,
    share::{Shared, Sharing},
};
use self::{
    share::Sharer,
    stores::Stores,
    supervise::{Named, Tasks},
};
use crate::{
    clock::{Now as _, SystemClock},
    control,
    core::{Core, Ports, Settings, State, Wiring},
    kernel::{self, Kernel},
    notify::{Delivery, OutboxWorker},
    page::{self, Page},
    parts::{self, Presence},
    peer,
    port::{self, CoreHandle},
    recovery::{probe, signal::Signals},
};

/// Probes and name look-ups that wait; more are left out and asked for again.
const WANTED: usize = 4096;

/// How long ended outages and letters are kept, and services that do not answer any more.
const HISTORY: Duration = Duration::from_secs(90 * 24 * 3600);

/// The interfaces to watch: configured, or those of the default routes.
pub fn interfaces(config: &Config) -> Result<Vec<String>> {
    if !config.watch.interfaces.is_empty() {
        return Ok(config.watch.interfaces.clone());
    }
    let names = kernel::default_route_interfaces();
    if names.is_empty() {
        bail!("no interface to watch: there is no default route; name interfaces in watch.interfaces");
    }
    Ok(names)
}

/// Runs the daemon until SIGTERM or SIGINT. `path` is read again at SIGHUP.
pub async fn run(config: Config, path: PathBuf) -> Result<()> {
    let interfaces = interfaces(&config)?;
    let socket = control::listen(&config.control.socket).await?;
    let Stores { store, local, outbox, shared, cut_off, arrival } = Stores::open(&config).await?;
    let mut delivery = Delivery::new(&config.notify, &config.store.state_dir)?;
    if let Some(own_url) = config.standin.own_url.as_ref().filter(|_| config.standin.enabled) {
        let links = page::Links::new(own_url, &config.store.state_dir).context("the key of the stand-in page")?;
        delivery = delivery.with_links(links);
    }
    let delivery = Arc::new(delivery.with_webhooks(supervise::webhooks(&config)?));
    store.set_relays(relay::relays(&config)?);
    store.set_notices(Notices::new(&config.notice));
    let courier = relay::courier(&config)?;

    let (core_handle, requests) = port::queue();
    let (probes, probe_queue) = mpsc::channel(WANTED);
    let (opened, opened_queue) = mpsc::channel(WANTED);
    let (questions, question_queue) = mpsc::channel(share::QUESTIONS);
    let (state, state_view) = watch::channel(State::default());
    let letters = Arc::new(Wake::new());

    // Bound before the kernel is touched: a port that is taken must not leave programs behind.
    let snmp = supervise::snmp(&config, &local, &core_handle).await?;
    let signals = match (config.recovery.signal_listen, config.recovery.signal_secret_file.clone()) {
        (Some(addr), Some(secret)) => Some(Signals::bind(addr, secret, core_handle.clone()).await?),
        _ => None,
    };
    let metrics = supervise::metrics(&config).await?;

    let answers = match config.heartbeat.answer_listen {
        Some(addr) => Some(
            peer::answer::Answers::bind(addr)
                .await
                .with_context(|| format!("cannot answer on {addr}: check heartbeat.answer_listen"))?,
        ),
        None => None,
    };

    let config = Arc::new(config);
    let (config_sender, config_view) = watch::channel(Arc::clone(&config));
    let feeding = CancellationToken::new();
    let mut tasks = Tasks::default();
    let (mut kernel, events) = Kernel::start(&config.watch, !config.guard.is_empty())?;
    // The guards decide before there is anything to decide on: from the first frame that the programs see, nothing passes
    // unchecked, however long attaching takes.
    let (guards, guard_lines) = supervise::guards(&config, local.store(), &mut kernel, &core_handle).await?;
    if let Some(guards) = guards {
        tasks.spawn("guards", guards.run(feeding.clone()));
    }
    kernel.attach(&config.watch, &interfaces).await?;
    if !config.standin.enabled {
        kernel::remove_stand_in(&config.watch.pin_dir)?;
    }
    let limits = Arc::new(page::Limits::new(&config.standin));
    let page = if page::is_wanted(&config.standin) {
        let maps = kernel.take_stand_in()?;
        if config.standin.enabled {
            kernel.attach_stand_in(&config.watch, &interfaces)?;
        }
        let surroundings = page::Surroundings {
            store: store.clone(),
            core: core_handle.clone(),
            limits: Arc::clone(&limits),
            config: config_view.clone(),
        };
        Some(Page::start(maps, surroundings).await?)
    } else {
        None
    };
    let heartbeats = peer::start(&config, &store, &letters).await?;
    let wiring =
        Wiring { requests, probes, opened, questions, letters: Arc::clone(&letters), state, book: store.clone() };
    let settings = Settings {
        rules: config.rules(),
        guarded: config.guard.iter().map(|guard| guard.port).collect(),
        shared: config.is_shared(),
    };
    let ports = Ports { kernel, events, clock: SystemClock };
    let core = Core::start(settings, ports, local.clone(), wiring).await?;
    let (sharing, sharing_view) = watch::channel(Sharing { cut_off, ..Sharing::default() });

    let context = control::Context {
        store: store.clone(),
        core: state_view,
        config: config_view,
        handle: core_handle.clone(),
        snmp: snmp.as_ref().map(|snmp| snmp.counters()),
        mailbox: courier.clone(),
        watches: true,
        guards: guard_lines,
        page: page.as_ref().filter(|_| config.standin.enabled).map(Page::counters),
        certificates: page.as_ref().filter(|_| config.standin.enabled).map(Page::certificates),
        limits,
        started: UnixMs::now(),
        peers: heartbeats.as_ref().map(|running| running.peers.clone()),
        shared: shared.is_some().then(|| Shared { local: local.clone(), state: sharing_view }),
    };

    let deciding = CancellationToken::new();
    let telling = CancellationToken::new();
    tasks.spawn("core", core.run(deciding.clone()));
    tasks.spawn("control socket", supervise::serve(socket, control::router(context.clone()), feeding.clone()));
    if let Some(listener) = metrics {
        let router = control::metrics_router(context);
        tasks.spawn("metrics", supervise::serve(listener, router, feeding.clone()));
    }
    if let (Some(answers), Some(heartbeats)) = (answers, &heartbeats) {
        tasks.spawn_sure("answers about peers", answers.run(heartbeats.peers.clone(), feeding.clone()));
    }
    if let Some(heartbeats) = heartbeats {
        tasks.spawn("heartbeats", heartbeats.run(feeding.clone()));
    }
    if let Some(signals) = signals {
        tasks.spawn("signals", signals.run(feeding.clone()));
    }
    if let Some(snmp) = snmp {
        tasks.spawn("SNMP manager", snmp.run(feeding.clone()));
    }
    let stands_in = page.is_some();
    if let Some(page) = page {
        tasks.spawn("stand-in page", page.run(feeding.clone()));
    }
    let probing = probe::run(probe_queue, core_handle.clone(), config.recovery.probe_timeout, feeding.clone());
    tasks.spawn_sure("probes", probing);
    let named = match &shared {
        None => Named::Alone(store.clone()),
        Some((shared, gateway)) => Named::Shared(shared.clone(), gateway.clone()),
    };
    let naming = supervise::name_servers(opened_queue, Arc::clone(delivery.names()), named, feeding.clone());
    tasks.spawn_sure("names", naming);
    tasks.spawn("lists and notices", relay::settle(store.clone(), Arc::clone(&letters), telling.clone()));
    if let Some(courier) = courier {
        let receipts = relay::receipts(&config, &store, &courier)?;
        let watching = crate::relay::watch(courier, config.mailbox.poll, Arc::default(), receipts, feeding.clone());
        tasks.spawn_sure("mailbox", watching);
    }
    let sharing_ends = CancellationToken::new();
    if let Some((shared, gateway)) = shared {
        let letters = Arc::clone(&letters);
        let sharer = Sharer {
            local,
            shared,
            outbox: outbox.clone(),
            gateway,
            arrival,
            core: core_handle.clone(),
            questions: question_queue,
            letters,
            state: sharing,
        };
        tasks.spawn("shared database", sharer.run(sharing_ends.clone()));
    }
    tasks.spawn("outbox", OutboxWorker::new(outbox, Arc::clone(&delivery), letters).run(telling.clone()));

    supervise::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
    let result = supervise::until_stopped(&mut tasks, || {
        let (path, core, store, delivery, config_sender) = (&path, &core_handle, &store, &delivery, &config_sender);
        async move { reload(path, core, store, delivery, config_sender).await }
    })
    .await;
    supervise::stopping();
    feeding.cancel();
    if stands_in {
        // Before the core, which the last answers wait for and whose end takes the program off the interfaces.
        tasks.finished("stand-in page").await?;
    }
    deciding.cancel();
    tasks.finished("core").await?;
    sharing_ends.cancel();
    telling.cancel();
    tasks.all_finished().await?;
    tracing::info!("stopped");
    result
}

/// SIGHUP: the new configuration comes into force whole, or the old one stays. What is bound or connected (listeners,
/// mail server, store) keeps its settings until a restart.
async fn reload(
    path: &std::path::Path,
    core: &CoreHandle,
    store: &Store,
    delivery: &Delivery,
    in_force: &watch::Sender<Arc<Config>>,
) -> Result<()> {
    let presence =
        if in_force.borrow().as_ref() == &Config::default() { Presence::Optional } else { Presence::Required };
    let config = parts::load(path, presence)?;
    if config.guard != in_force.borrow().guard {
        tracing::warn!("guards have changed in the configuration; those in force stay until a restart");
    }
    // Also where only a secret or a certificate has changed.
    let webhooks = supervise::webhooks(&config)?;
    let policy = Policy { rules: config.rules(), watch: config.watch.clone(), interfaces: interfaces(&config)? };
    store.replace_config_addresses(AddressEntry::of_config(&config.address, UnixMs::now())).await?;
    store.set_notices(Notices::new(&config.notice));
    core.reload(policy).await?;
    delivery.set_webhooks(webhooks);
    in_force.send_replace(Arc::new(config));
    Ok(())
}
