//! The page that answers in a failed server's name, and asks whether to send a mail when it is back (F-21 to F-28).
//!
//! In: connections that the kernel's program gives to our listeners, with the server's address as their own. Out: entries
//! of the address book and of the waiting list, and what the clients' browsers show. It never sends anything to a server
//! and never shows anything of another client.
//!
//! `steering` has the kernel deliver the packets here, `listeners` takes the connections, `server` speaks HTTP within
//! limits, `routes` answers, `answer` keeps what was typed, `view` knows what is failed, `on_record` whom the page is for.

mod answer;
mod document;
mod host_header;
mod language;
mod limits;
mod listeners;
mod on_record;
mod routes;
mod server;
mod steering;
mod token;
mod view;
mod waiting;
mod words;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use monitor_common::OtherPorts;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub use self::steering::remove as remove_steering;
pub(crate) use self::token::Links;
use self::{document::Document, limits::Limits, listeners::Listeners, routes::Context, steering::Steering, token::Key};
use crate::{
    config::{Config, OtherPortsRule, StandIn},
    daemon::Command,
    kernel::{StandInMaps, StandInTargets},
    outage::UnixMs,
    recovery::Reported,
    store::Store,
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
    /// To the core: the address book has changed.
    pub commands: mpsc::Sender<Command>,
    /// To the core: somebody waits.
    pub reported: mpsc::Sender<Reported>,
}

/// The page, ready to run. Its routing rules go when it is dropped.
pub struct Page {
    settings: StandIn,
    maps: StandInMaps,
    standing: Option<Standing>,
}

/// What there is only when the page is on.
struct Standing {
    listeners: Listeners,
    own: Option<TcpListener>,
    context: Context,
    _steering: Steering,
}

/// Whether anything is to be answered in a failed server's name.
#[must_use]
pub fn is_wanted(settings: &StandIn) -> bool {
    settings.enabled || settings.other_ports != OtherPortsRule::Silent
}

/// What is wrong with the settings that only the page understands.
pub(crate) fn check(settings: &StandIn) -> Result<(), (&'static str, String)> {
    if let Some(url) = &settings.own_url {
        host_header::origin(url).map_err(|what| ("standin.own_url", what))?;
    }
    Document::load(settings.page_dir.as_deref()).map(drop).map_err(|what| ("standin.page_dir", what))
}

impl Page {
    /// Listens and sets up the routing. Nothing is steered before [`Page::run`].
    pub async fn start(config: &Config, maps: StandInMaps, surroundings: Surroundings) -> Result<Self> {
        let settings = &config.standin;
        let mut page = Self { settings: settings.clone(), maps, standing: None };
        if settings.enabled {
            server::raise_file_limit(settings.connections);
            let document = Document::load(settings.page_dir.as_deref())
                .map_err(|what| anyhow::anyhow!("standin.page_dir: {what}"))?;
            let own = match settings.own_listen {
                Some(addr) => Some(
                    TcpListener::bind(addr)
                        .await
                        .with_context(|| format!("cannot listen on {addr}: check standin.own_listen"))?,
                ),
                None => None,
            };
            let listeners = Listeners::bind().context("listening for stand-in connections")?;
            let context = Context {
                store: surroundings.store,
                commands: surroundings.commands,
                reported: surroundings.reported,
                key: Arc::new(Key::load(&config.store.state_dir).context("the key of the stand-in page")?),
                view: view::View::new(),
                document: Arc::new(document),
                limits: Arc::new(Limits::new(settings)),
                language: config.notify.language,
                own_url: settings.own_url.clone().map(Arc::from),
            };
            let steering = Steering::add().await.context("routing stand-in connections to this host")?;
            page.standing = Some(Standing { listeners, own, context, _steering: steering });
        }
        Ok(page)
    }

    /// Serves until `cancel`; then lets open connections end, and removes the routing.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<()> {
        let closing = CancellationToken::new();
        let mut targets = StandInTargets { other_ports: other_ports(self.settings.other_ports), ..Default::default() };
        let mut connections = tokio::task::JoinSet::new();
        let mut view = None;
        if let Some(standing) = self.standing.take() {
            (targets.port_v4, targets.port_v6) = standing.listeners.ports();
            standing.context.look().await?;
            self.maps.set_on_record(&on_record::of(&standing.context, &self.settings).await?)?;
            let accept = server::accept(standing.listeners, standing.own, standing.context.clone(), closing.clone());
            connections.spawn(accept);
            view = Some((standing.context, standing._steering));
        }
        let mut look = every(LOOK);
        let (mut alive, mut on_record, mut forget) = (Instant::now(), Instant::now(), Instant::now());
        self.maps.alive(targets)?;
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = look.tick() => {}
            }
            let now = Instant::now();
            if now >= alive {
                alive = now + ALIVE;
                self.maps.alive(targets)?;
            }
            let Some((context, _)) = &view else { continue };
            if let Err(error) = context.look().await {
                tracing::warn!(%error, "the page cannot see what is failed");
                continue;
            }
            if context.view.is_empty() {
                self.maps.rest()?;
            } else if now >= on_record {
                on_record = now + ON_RECORD;
                self.maps.set_on_record(&on_record::of(context, &self.settings).await?)?;
            }
            if now >= forget {
                forget = now + FORGET;
                let forgotten = context.store.forget_typed(UnixMs::now().before(self.settings.forget)).await?;
                if forgotten > 0 {
                    tracing::info!(forgotten, "typed addresses were too old");
                }
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
