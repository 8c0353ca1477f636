//! Heartbeats between hosts: one protocol for hot standby ([`crate::standby`]) and for servers that watch each other
//! ([`watch`]). `docs/peer-protocol.md` has every byte of it.
//!
//! [`monitor_core::heartbeat`] reads and writes messages and decides which are fresh. `path` has the sockets, `host` what is
//! known of one other host, `exchange` is the thread that brings all together, and [`Peers`] is the daemon's side of it.

pub mod answer;
mod command;
mod exchange;
mod host;
mod identity;
mod path;
mod report;
pub mod watch;

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use monitor_core::config::{Application, Config, Standby, StandbyGroup};
use monitor_store::Store;
use tokio::sync::{
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};
use tokio_util::sync::CancellationToken;

use self::{
    command::{Command, Event},
    exchange::Exchange,
    path::Paths,
    watch::tell::Teller,
};
pub use self::{
    identity::Identity,
    report::{GroupMode, PathLine, PeerLine, PeersReport, WatchLine},
};
use crate::{
    health::HealthCheck,
    kernel::{self, Gate},
    standby::{HandOverError, shared_link::SharedLink, sharing::Sharing},
};

/// How the rest of the daemon talks to the thread.
#[derive(Clone, Debug)]
pub struct Peers {
    commands: mpsc::Sender<Command>,
    wake: Arc<UnixStream>,
}

/// The thread has ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("heartbeats are not exchanged any more")]
pub struct Ended;

impl Peers {
    /// Who is heard, who is up, who has which addresses.
    pub async fn report(&self) -> Result<PeersReport, Ended> {
        let (answer, answered) = oneshot::channel();
        self.command(Command::Report(answer))?;
        answered.await.map_err(|_| Ended)
    }

    /// Gives a group's addresses, or all that this host is active for, to another host. Says which groups.
    pub async fn hand_over(&self, group: Option<String>) -> Result<Result<Vec<String>, HandOverError>, Ended> {
        let (answer, answered) = oneshot::channel();
        self.command(Command::HandOver(group, answer))?;
        answered.await.map_err(|_| Ended)
    }

    fn command(&self, command: Command) -> Result<(), Ended> {
        self.commands.send(command).map_err(|_| Ended)?;
        // Full of wake-ups that were not read yet: it wakes.
        let _ = (&*self.wake).write(&[0]);
        Ok(())
    }
}

/// The running exchange.
pub struct Running {
    /// To talk to it.
    pub peers: Peers,
    ended: oneshot::Receiver<io::Result<()>>,
    teller: tokio::task::JoinHandle<()>,
    checking: CancellationToken,
}

impl Running {
    /// Runs until `cancel`: then addresses are handed over, and the peers are told that this is an orderly end.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<()> {
        tokio::select! {
            () = cancel.cancelled() => {
                let _ = self.peers.command(Command::Stop);
                (&mut self.ended).await.context("the thread panicked")??;
            }
            ended = &mut self.ended => ended.context("the thread panicked")??,
        }
        self.checking.cancel();
        // It ends when the thread has: everything that happened is told.
        drop(self.peers);
        self.teller.await.context("telling")
    }
}

/// Starts exchanging heartbeats; `None` where there is nobody to exchange them with. `letters` wakes the outbox.
pub async fn start(
    config: &Config,
    identity: Option<Identity>,
    store: &Store,
    letters: &Arc<tokio::sync::Notify>,
) -> Result<Option<Running>> {
    if config.standby.is_none() {
        kernel::stop_sharing(&config.watch.pin_dir)?;
    }
    let Some(Identity { name, secret }) = identity else { return Ok(None) };
    let ways = config.peer.iter().flat_map(|peer| &peer.paths);
    let paths = Paths::open(config.heartbeat.listen, ways).with_context(|| {
        format!("cannot listen on {}: check heartbeat.listen and the paths", config.heartbeat.listen)
    })?;
    let checking = CancellationToken::new();
    let (events, happened) = unbounded_channel();
    let sharing = match &config.standby {
        None => None,
        Some(standby) => Some(share(config, standby, &name, events.clone(), &checking).await?),
    };
    let (commands, queue) = mpsc::channel();
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    let exchange = Exchange::new(
        name,
        secret,
        paths,
        &config.peer,
        &config.store.state_dir,
        sharing,
        (queue, woken),
        events,
        |peer| health_check(&peer.application, peer.running_every, &checking),
    )
    .context("the status files of peers")?;
    let peers = Peers { commands, wake: Arc::new(wake) };
    let teller = Teller::new(config, store.clone(), Arc::clone(letters), peers.clone());
    let teller = tokio::spawn(teller.run(happened));
    let (end, ended) = oneshot::channel();
    thread::Builder::new().name("heartbeat".to_owned()).spawn(move || {
        prefer();
        // Nobody waits for it only when the daemon is gone.
        let _ = end.send(exchange.run());
    })?;
    Ok(Some(Running { peers, ended, teller, checking }))
}

/// Opens what shared addresses need of the interface and the kernel.
async fn share(
    config: &Config,
    standby: &Standby,
    own: &str,
    events: UnboundedSender<Event>,
    checking: &CancellationToken,
) -> Result<Sharing> {
    let addresses: Vec<_> = standby.group.iter().flat_map(|group| group.addresses.clone()).collect();
    let gate = Gate::start(&config.watch.pin_dir, &standby.interface, &addresses)?;
    let link = SharedLink::new(&standby.interface, gate).await;
    let expected = config.peer.iter().filter(|peer| peer.standby).count();
    let health_check = |group: &StandbyGroup| health_check(&group.application, standby.gone_after(), checking);
    // The receiver goes only with the daemon.
    let changed = move |change| drop(events.send(Event::Mode(change)));
    Ok(Sharing::new(standby, own, expected, link, Box::new(changed), health_check))
}

/// Looks at the application once a period, until `checking` ends.
fn health_check(application: &Option<Application>, period: Duration, checking: &CancellationToken) -> HealthCheck {
    match application {
        Some(application) => HealthCheck::of(application, period, checking.clone()),
        None => HealthCheck::always(),
    }
}

/// A beat that is late looks like a failure: the thread goes before others as far as the system allows.
fn prefer() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the pointer is to a whole sched_param; 0 is this thread.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const priority) } != 0 {
        tracing::warn!(
            error = %io::Error::last_os_error(),
            "heartbeats have no priority over other work: CAP_SYS_NICE or LimitRTPRIO=1 gives it"
        );
    }
}
