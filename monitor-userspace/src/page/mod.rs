//! The page that answers in a failed server's name, and asks whether to send a mail when it is back (F-21 to F-28).
//!
//! In: connections that the kernel's program gives to our listeners, with the server's address as their own. Out: entries
//! of the address book and of the waiting list, and what the clients' browsers show. It never sends anything to a server
//! and never shows anything of another client.
//!
//! `steering` has the kernel deliver the packets here, `listeners` takes the connections, `server` speaks HTTP within
//! limits, over `tls` where there are `certificates` (`expiry` says when those are good), `routes` answers, `answer`,
//! `subscribe` and `subscription` keep what was asked for, `view` knows what is failed, `on_record` whom the page is for. `in_force` is what a
//! reload replaces.

mod answer;
mod certificates;
mod counters;
mod document;
mod expiry;
mod host_header;
mod in_force;
mod language;
mod limits;
mod listeners;
mod on_record;
mod routes;
mod server;
mod steering;
mod subscribe;
mod subscription;
mod tls;
mod token;
mod view;
mod waiting;
mod words;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use monitor_common::OtherPorts;
use monitor_core::{
    config::{OtherPortsRule, StandIn},
    domain::{ClientNet, UnixMs},
};
use monitor_store::{Store, StoreError};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::token::Links;
pub use self::{
    certificates::out_of_date,
    counters::Counters,
    expiry::{Lifetime, Validity},
    in_force::PageInForce,
    limits::Limits,
    steering::remove as remove_steering,
    subscription::{Subscribed, Subscriptions},
};
use self::{expiry::Reminder, listeners::PageListeners, routes::PageContext, steering::Steering, token::Key};
use crate::{
    clock::Now as _,
    kernel::{StandInMaps, StandInTargets},
    port::CoreHandle,
};

/// Between two looks at what is failed.
const LOOK: Duration = Duration::from_millis(300);

/// Between two words to the kernel that we are alive; it waits for five seconds.
const ALIVE: Duration = Duration::from_secs(1);

/// Between two looks at who is on record.
const ON_RECORD: Duration = Duration::from_secs(5);

/// Between two deletions of what is too old.
const FORGET: Duration = Duration::from_secs(3600);

/// How long open connections may go on when the daemon stops.
const DRAIN: Duration = Duration::from_secs(3);

/// What the page needs of the daemon.
pub struct Surroundings {
    /// Outages and addresses.
    pub store: Store,
    /// To the core: the address book has changed, somebody waits.
    pub core: CoreHandle,
    /// What a reload replaces.
    pub in_force: watch::Receiver<Arc<PageInForce>>,
    /// Where the key of its links and forms is kept.
    pub state_dir: PathBuf,
    /// How much one client may ask, here and elsewhere.
    pub limits: Arc<Limits>,
}

/// The page, ready to run. Its routing rules go when it is dropped.
pub struct Page {
    maps: StandInMaps,
    in_force: watch::Receiver<Arc<PageInForce>>,
    counters: Arc<Counters>,
    standing: Option<Standing>,
}

/// What there is only when the page is on.
struct Standing {
    listeners: PageListeners,
    own: Option<TcpListener>,
    context: PageContext,
    _steering: Steering,
}

/// Whether anything is to be answered in a failed server's name.
#[must_use]
pub fn is_wanted(settings: &StandIn) -> bool {
    settings.enabled || settings.other_ports != OtherPortsRule::Silent
}

/// What is shown of a page that is on.
#[derive(Clone)]
pub struct PageView {
    /// What became of its clients.
    pub counters: Arc<Counters>,
    /// When its certificates are good.
    pub certificates: CertificateLifetimes,
}

/// When the certificates in force are good.
#[derive(Clone)]
pub struct CertificateLifetimes(watch::Receiver<Arc<PageInForce>>);

impl CertificateLifetimes {
    /// Each file, and when it is good.
    #[must_use]
    pub fn get(&self) -> Vec<(PathBuf, Lifetime)> {
        self.0.borrow().certificates.lifetimes().map(|(file, lifetime)| (file.to_owned(), lifetime)).collect()
    }
}

impl Page {
    /// Listens and sets up the routing. Nothing is steered before [`Page::run`].
    pub async fn start(maps: StandInMaps, surroundings: Surroundings) -> Result<Self> {
        let in_force = surroundings.in_force;
        let settings = in_force.borrow().settings.clone();
        let counters = Arc::<Counters>::default();
        let mut page = Self { maps, in_force: in_force.clone(), counters: Arc::clone(&counters), standing: None };
        if settings.enabled {
            let own = match settings.own_listen {
                Some(addr) => Some(
                    TcpListener::bind(addr)
                        .await
                        .with_context(|| format!("cannot listen on {addr}: check standin.own_listen"))?,
                ),
                None => None,
            };
            let listeners = PageListeners::bind().context("listening for stand-in connections")?;
            let context = PageContext {
                store: surroundings.store,
                core: surroundings.core,
                key: Arc::new(Key::load(&surroundings.state_dir).context("the key of the stand-in page")?),
                view: view::View::new(),
                in_force,
                limits: surroundings.limits,
                counters,
                own_url: settings.own_url.map(Arc::from),
            };
            let steering = Steering::add().await.context("routing stand-in connections to this host")?;
            page.standing = Some(Standing { listeners, own, context, _steering: steering });
        }
        Ok(page)
    }

    /// What there is to show of it, if it is on and not only refuses other ports.
    #[must_use]
    pub fn view(&self) -> Option<PageView> {
        self.standing.as_ref().map(|_| PageView {
            counters: Arc::clone(&self.counters),
            certificates: CertificateLifetimes(self.in_force.clone()),
        })
    }

    /// Serves until `cancel`; then lets open connections end, and removes the routing.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<()> {
        let closing = CancellationToken::new();
        let mut connections = tokio::task::JoinSet::new();
        let mut ports = (0, 0);
        let mut view = None;
        if let Some(standing) = self.standing.take() {
            ports = standing.listeners.ports();
            // Before the first SYN is steered.
            let Some(on_record) = first_look(&standing.context, &cancel).await else { return Ok(()) };
            self.maps.set_on_record(&on_record)?;
            let accept = server::accept(standing.listeners, standing.own, standing.context.clone(), closing.clone());
            connections.spawn(accept);
            view = Some((standing.context, standing._steering));
        }
        let mut look = every(LOOK);
        let (mut alive, mut on_record, mut forget) = (Instant::now(), Instant::now(), Instant::now());
        let mut reminder = Reminder::default();
        loop {
            let in_force = Arc::clone(&self.in_force.borrow());
            let now = Instant::now();
            if now >= alive {
                alive = now + ALIVE;
                self.tell(&in_force, ports)?;
                if ports.0 != 0 {
                    remind(&mut reminder, &in_force);
                }
            }
            if let Some((context, _)) = &view {
                match look_again(context, &in_force.settings, now >= on_record).await {
                    Ok(Some(clients)) => {
                        on_record = now + ON_RECORD;
                        self.maps.set_on_record(&clients)?;
                    }
                    // Who shares the database says so.
                    Ok(None) | Err(StoreError::Unreachable(_)) => {}
                    Err(error) => tracing::warn!(%error, "the page cannot see what is failed"),
                }
                if now >= forget {
                    forget = now + FORGET;
                    self::forget(&context.store, in_force.settings.forget).await;
                }
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                Ok(()) = self.in_force.changed() => {
                    reminder = Reminder::default();
                    // At once, not when it is their turn.
                    (alive, on_record) = (Instant::now(), Instant::now());
                }
                _ = look.tick() => {}
            }
        }
        self.maps.stop()?;
        closing.cancel();
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::info!("stand-in connections were cut");
        }
        Ok(())
    }

    /// Tells the kernel that we are alive, and what there is.
    fn tell(&mut self, in_force: &PageInForce, (port_v4, port_v6): (u16, u16)) -> Result<()> {
        // Before the flag: without an entry port 443 is another port.
        let servers = if port_v4 == 0 { Vec::new() } else { in_force.certificates.servers() };
        self.maps.set_tls(&servers)?;
        let other_ports = other_ports(in_force.settings.other_ports);
        self.maps.alive(StandInTargets { port_v4, port_v6, other_ports, tls: !servers.is_empty() })?;
        Ok(())
    }
}

/// Says which certificates end, have ended, or have not begun.
fn remind(reminder: &mut Reminder, in_force: &PageInForce) {
    let (files, lifetimes): (Vec<_>, Vec<_>) = in_force.certificates.lifetimes().unzip();
    for (index, validity) in reminder.look(&lifetimes, UnixMs::now()) {
        let shown = if validity.is_good() { "" } else { "; its names do not get the page" };
        let words = lifetimes[index].words(validity, &in_force.zone);
        tracing::warn!("standin.tls: {} {words}{shown}", files[index].display());
    }
}

/// What is failed, and whom the page is not for; waits for a store that is out of reach. `None`: cancelled before.
async fn first_look(context: &PageContext, cancel: &CancellationToken) -> Option<Vec<(ClientNet, bool)>> {
    let mut warned = false;
    loop {
        let looked = async {
            context.look().await?;
            on_record::of(context, &context.in_force().settings).await
        };
        match looked.await {
            Ok(on_record) => return Some(on_record),
            Err(error) if warned => tracing::debug!(%error, "the page still cannot see what is failed"),
            Err(error) => {
                tracing::warn!(%error, "the page waits until it can see what is failed");
                warned = true;
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return None,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Looks at what is failed; says, when that is due and anything is, whom the page is not for.
async fn look_again(
    context: &PageContext,
    settings: &StandIn,
    on_record_is_due: bool,
) -> Result<Option<Vec<(ClientNet, bool)>>, StoreError> {
    context.look().await?;
    if on_record_is_due && !context.view.is_empty() {
        on_record::of(context, settings).await.map(Some)
    } else {
        Ok(None)
    }
}

/// Deletes what was typed too long ago.
async fn forget(store: &Store, age: Duration) {
    match store.forget_typed(UnixMs::now().before(age)).await {
        Ok(0) => {}
        Ok(forgotten) => tracing::info!(forgotten, "typed addresses were too old"),
        Err(error) => tracing::warn!(%error, "typed addresses that are too old are not deleted"),
    }
}

const fn other_ports(rule: OtherPortsRule) -> u32 {
    match rule {
        OtherPortsRule::Silent => OtherPorts::SILENT,
        OtherPortsRule::Reset => OtherPorts::RESET,
        OtherPortsRule::Icmp => OtherPorts::ICMP,
    }
}

fn every(pause: Duration) -> tokio::time::Interval {
    let mut interval = interval(pause);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
