//! Wires the relay's tasks (`ringback relay`).
//!
//! Order of start: store, listeners, outbox, mailbox. Order of shutdown: what is fetched is stored, then the outbox
//! finishes what is on its way.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use monitor_core::{
    domain::UnixMs,
    mail::{AddressEntry, notice::Notices},
    port::{Answer, Request},
    relay::Relays,
};
use monitor_store::{Batch, LocalStore, NotificationPolicy};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Notify as Wake, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    Ends, HISTORY, listeners,
    supervise::{self, MAILBOX, Tasks},
};
use crate::{
    clock::{self, Now as _},
    control::{self, Role},
    listener::{self, Bounds, share_files},
    notify::{Delivery, OutboxWorker},
    parts::{Loaded, Parts},
    port::{self, Requests},
    relay::{self, ListIntake, MailboxPoller, Quarantine},
};

/// Runs the relay until SIGTERM or SIGINT.
pub async fn run(loaded: Loaded) -> Result<()> {
    let Loaded { config, parts } = loaded;
    let Parts { database, mail, webhooks, gateways, mailbox, trust, .. } = parts;
    let Some(mailbox) = mailbox else { bail!("no mailbox to fetch lists from: set mailbox.pop3") };
    if gateways.is_empty() {
        bail!("no gateway whose lists could be taken: write a [[gateway]]");
    }
    let socket = control::listen(&config.control.socket).await?;
    // A relay mails the clients itself, whatever other roles the same file speaks of.
    let policy = NotificationPolicy::new(config.notify.lifetime, Relays::default(), Notices::default());
    let local = LocalStore::at(&database, policy)?;
    let steady = clock::begin_alone(&local).await.context("reading the clock")?;
    let store = local.store().clone();
    store
        .replace_config_addresses(AddressEntry::of_config(&config.address, UnixMs::now()))
        .await
        .context("writing the address book")?;
    store.prune(UnixMs::now().before(HISTORY)).await.context("forgetting old outages")?;
    mail.log_remarks();
    let delivery = Arc::new(Delivery::new(mail, None, watch::channel(webhooks).1));
    let (to_core, requests) = port::queue();
    let (letters, look) = (Arc::new(Wake::new()), Arc::new(Wake::new()));
    let snmp = listeners::snmp(&config, trust, &local, &to_core).await?;
    let metrics = listeners::metrics(&config).await?;
    let poller = MailboxPoller::new(mailbox);
    let intake = ListIntake::new(
        gateways,
        config.notify.max_age,
        store.clone(),
        Quarantine::below(&config.store.state_dir),
        Arc::clone(&letters),
        Arc::clone(poller.counters()),
    );
    let context = control::ControlContext {
        store: store.clone(),
        core: to_core,
        delivery: watch::channel(Arc::clone(&delivery)).1,
        snmp: snmp.as_ref().map(|snmp| snmp.counters()),
        mailbox: Some(poller.clone()),
        imports: Arc::default(),
        started: UnixMs::now(),
        role: Role::Relay,
    };

    let (ends, mut tasks) = (Ends::default(), Tasks::default());
    let fetching = &ends.feeding;
    serve_http(&mut tasks, context, socket, metrics, fetching);
    if let Some(snmp) = snmp {
        tasks.spawn("SNMP manager", snmp.run(fetching.clone()));
    }
    tasks.spawn("clock", clock::follow(local.clone(), steady, fetching.clone()));
    tasks.spawn("traps", at_traps(requests, Arc::clone(&look), local, fetching.clone()));
    tasks.spawn_sure(MAILBOX, relay::watch(poller, config.mailbox.poll, look, intake, fetching.clone()));
    tasks.spawn("outbox", OutboxWorker::new(store.outbox(), delivery, letters).run(ends.telling.clone()));

    supervise::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "relay started");
    let reload = async || bail!("a relay reads its configuration at its start only: restart it");
    let result = supervise::until_stopped(&mut tasks, reload).await;
    supervise::stopping();
    fetching.cancel();
    tasks.finished(MAILBOX).await?;
    ends.telling.cancel();
    tasks.all_finished().await?;
    tracing::info!("stopped");
    result
}

/// The control socket and, where it is wanted, the metrics.
fn serve_http(
    tasks: &mut Tasks,
    context: control::ControlContext,
    socket: UnixListener,
    metrics: Option<TcpListener>,
    cancel: &CancellationToken,
) {
    let shares = share_files(0);
    let control = control::router(context.clone());
    let served = listener::serve(socket, control, Bounds::of_operators(shares), cancel.clone());
    tasks.spawn_sure("control socket", served);
    if let Some(listener) = metrics {
        let metrics = control::metrics_router(context);
        let served = listener::serve(listener, metrics, Bounds::of_network(shares), cancel.clone());
        tasks.spawn_sure("metrics", served);
    }
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
                local.apply_batch(Batch { seen: seen.into_iter().collect(), ..Batch::default() }).await?;
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
