//! Wires the relay's tasks (`ringback relay`), and the gateway's that have to do with relays.
//!
//! Order of start: store, listeners, outbox, mailbox. Order of shutdown: what is fetched is stored, then the outbox
//! finishes what is on its way.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use monitor_core::{
    config::Config,
    domain::UnixMs,
    mail::AddressEntry,
    port::{Answer, Request},
    relay::Relays,
};
use monitor_store::{LocalStore, Store, StoreError};
use tokio::sync::{Notify as Wake, watch};
use tokio_util::sync::CancellationToken;

use super::{
    HISTORY,
    supervise::{self, Tasks},
};
use crate::{
    clock::Now as _,
    control,
    core::State,
    notify::{Delivery, OutboxWorker},
    page::Limits,
    parts,
    port::{self, Requests},
    relay::{self, Aside, Courier, GatewayKeys, Pop3, Receipts, Station},
};

/// Between two looks for lists without a receipt and for operators to tell: indexes that are nearly always empty.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the relay until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<()> {
    let Some(mailbox) = Pop3::new(&config.mailbox)? else {
        bail!("no mailbox to fetch lists from: set mailbox.pop3");
    };
    if config.gateway.is_empty() {
        bail!("no gateway whose lists could be taken: write a [[gateway]]");
    }
    let gateways = GatewayKeys::load(&config.gateway).map_err(|(index, error)| keyed("gateway", index, &error))?;
    let socket = control::listen(&config.control.socket).await?;
    let local = LocalStore::at(&parts::database(&config).map_err(anyhow::Error::msg)?)?;
    let store = local.store().clone();
    store.set_letter_lifetime(config.notify.lifetime);
    store
        .replace_config_addresses(AddressEntry::of_config(&config.address, UnixMs::now()))
        .await
        .context("writing the address book")?;
    store.prune(UnixMs::now().before(HISTORY)).await.context("forgetting old outages")?;
    let delivery = Arc::new(Delivery::new(&config.notify, &config.store.state_dir)?);
    let (core, requests) = port::queue();
    let (_state, state_view) = watch::channel(State::default());
    let (letters, look) = (Arc::new(Wake::new()), Arc::new(Wake::new()));
    let snmp = supervise::snmp(&config, &local, &core).await?;
    let metrics = supervise::metrics(&config).await?;
    let courier = Courier::new(mailbox);
    let station = Station::new(
        gateways,
        config.notify.max_age,
        store.clone(),
        aside(&config),
        Arc::clone(&letters),
        Arc::clone(courier.counters()),
    );
    let poll = config.mailbox.poll;
    let config = Arc::new(config);
    let (_config_sender, config_view) = watch::channel(Arc::clone(&config));
    let context = control::Context {
        store: store.clone(),
        core: state_view,
        config: config_view,
        handle: core,
        snmp: snmp.as_ref().map(|snmp| snmp.counters()),
        mailbox: Some(courier.clone()),
        watches: false,
        guards: watch::channel(Vec::new()).1,
        peers: None,
        page: None,
        certificates: None,
        limits: Arc::new(Limits::new(&config.standin)),
        shared: None,
        started: UnixMs::now(),
    };

    let (fetching, telling) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks = Tasks::default();
    tasks.spawn("control socket", supervise::serve(socket, control::router(context.clone()), fetching.clone()));
    if let Some(listener) = metrics {
        let router = control::metrics_router(context);
        tasks.spawn("metrics", supervise::serve(listener, router, fetching.clone()));
    }
    if let Some(snmp) = snmp {
        tasks.spawn("SNMP manager", snmp.run(fetching.clone()));
    }
    let taking = at_traps(requests, Arc::clone(&look), local, fetching.clone());
    tasks.spawn("traps", taking);
    tasks.spawn_sure("mailbox", relay::watch(courier, poll, look, station, fetching.clone()));
    tasks.spawn("outbox", OutboxWorker::new(store.outbox(), delivery, letters).run(telling.clone()));

    supervise::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "relay started");
    let result = supervise::until_stopped(&mut tasks, || async {
        bail!("a relay reads its configuration at its start only: restart it")
    })
    .await;
    supervise::stopping();
    fetching.cancel();
    tasks.finished("mailbox").await?;
    telling.cancel();
    tasks.all_finished().await?;
    tracing::info!("stopped");
    result
}

/// A trap or a signal of a server means: look into the mailbox now (F-18). A relay decides nothing by it.
async fn at_traps(mut requests: Requests, look: Arc<Wake>, local: LocalStore, cancel: CancellationToken) -> Result<()> {
    loop {
        let message = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            Some(message) = requests.recv() => message,
        };
        let (request, reply) = message.open();
        let answer = match request {
            Request::Observed(_) => {
                look.notify_one();
                Answer::Committed
            }
            Request::Trap { seen, .. } => {
                // The replay window of SNMPv3 is kept here as at a gateway.
                local.apply_seen(Vec::new(), seen.into_iter().collect()).await?;
                look.notify_one();
                Answer::Committed
            }
            // The store's writer reads the book again by itself.
            Request::AddressesChanged => Answer::Committed,
            // It watches nothing: it has no guards, no outages and no answers of its own.
            Request::Guarded(_) => Answer::Committed,
            Request::Subscribe(_) => Answer::Subscribed(false),
            Request::Asked(_) => Answer::Known(Vec::new()),
            Request::Reload(_) => Answer::Reloaded(Err("a relay reads its configuration at its start only".to_owned())),
        };
        // Whoever waited may have given up.
        let _ = reply.send(answer);
    }
}

/// The gateway's server mail table.
pub(super) fn relays(config: &Config) -> Result<Relays> {
    Relays::load(&config.relay, &|path| fs::read_to_string(path))
        .map_err(|(index, error)| keyed("relay", index, &error))
}

/// The gateway's mailbox for receipts, if it has one and relays to get receipts from.
pub(super) fn courier(config: &Config) -> Result<Option<Courier>> {
    let mailbox = if config.relay.is_empty() { None } else { Pop3::new(&config.mailbox)? };
    Ok(mailbox.map(Courier::new))
}

/// What takes receipts at the gateway.
pub(super) fn receipts(config: &Config, store: &Store, courier: &Courier) -> Result<Receipts> {
    Ok(Receipts::new(relays(config)?, store.clone(), aside(config), Arc::clone(courier.counters())))
}

/// Settles lists and tells operators when their time has come, until `cancel`.
pub(super) async fn settle(store: Store, letters: Arc<Wake>, cancel: CancellationToken) -> Result<()> {
    loop {
        let now = UnixMs::now();
        match store.settle_overdue(now).await {
            Ok(0) => {}
            Ok(written) => {
                tracing::warn!(letters = written, "no receipt of a relay: people are told from here");
                letters.notify_one();
            }
            // Who shares it says so.
            Err(StoreError::Unreachable(_)) => {}
            Err(error) => tracing::error!(%error, "lists without a receipt cannot be settled; trying again"),
        }
        match store.tell_operators(now).await {
            Ok(0) => {}
            Ok(written) => {
                tracing::info!(messages = written, "operators are told");
                letters.notify_one();
            }
            Err(StoreError::Unreachable(_)) => {}
            Err(error) => tracing::error!(%error, "operators cannot be told; trying again"),
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn aside(config: &Config) -> Aside {
    Aside::below(&config.store.state_dir)
}

fn keyed(table: &str, index: usize, error: &monitor_core::relay::KeyError) -> anyhow::Error {
    anyhow::anyhow!("{table}[{index}].keys: {error}")
}
