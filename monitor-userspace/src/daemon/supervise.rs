//! Tasks, signals of the operating system, and the word to systemd.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use monitor_core::domain::{OutageId, Service};
use monitor_store::{Gateway, SharedStore, Store};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::notify::ServerNames;

/// Tasks that a shutdown waits for by name.
pub(super) const CORE: &str = "core";
pub(super) const PAGE: &str = "stand-in page";
pub(super) const MAILBOX: &str = "mailbox";

/// The daemon's tasks by name: one that ends by itself ends the daemon.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<(&'static str, Result<()>)>,
    begun: Vec<&'static str>,
    done: Vec<&'static str>,
}

impl Tasks {
    pub(super) fn spawn<E>(&mut self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<anyhow::Error>,
    {
        self.begun.push(name);
        self.running.spawn(async move {
            let ended = task.await.map_err(Into::into);
            (name, ended.with_context(|| format!("the {name} task")))
        });
    }

    /// One that cannot fail.
    pub(super) fn spawn_sure(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.begun.push(name);
        self.running.spawn(async move {
            task.await;
            (name, Ok(()))
        });
    }

    /// The next task that ends.
    async fn next(&mut self) -> Option<Result<&'static str>> {
        let ended = self.running.join_next().await?;
        Some(match ended {
            Ok((name, result)) => {
                self.done.push(name);
                result.map(|()| name)
            }
            Err(error) => Err(anyhow!(error).context("a task panicked")),
        })
    }

    /// Waits until this task has ended, if it ever began; the first error of any.
    pub(super) async fn finished(&mut self, name: &str) -> Result<()> {
        while self.begun.contains(&name) && !self.done.contains(&name) {
            match self.next().await {
                Some(ended) => drop(ended?),
                None => break,
            }
        }
        Ok(())
    }

    /// Waits until every task has ended; the first error of any.
    pub(super) async fn all_finished(&mut self) -> Result<()> {
        while let Some(ended) = self.next().await {
            ended?;
        }
        Ok(())
    }
}

/// Waits for SIGTERM or SIGINT, or for a task that ends; reloads at SIGHUP; feeds the watchdog.
pub(super) async fn until_stopped(tasks: &mut Tasks, mut reload: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut watchdog = watchdog();
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => match reload().await {
                Ok(()) => tracing::info!("reloaded"),
                Err(error) => tracing::error!("not reloaded, the old configuration stays: {error:#}"),
            },
            ended = tasks.next() => {
                let name = ended.unwrap_or(Ok("last"))?;
                return Err(anyhow!("the {name} task ended"));
            }
            _ = watchdog.tick() => tell(&[NotifyState::Watchdog]),
        }
    }
}

/// Half of what systemd allows, or an hour where nobody watches.
fn watchdog() -> tokio::time::Interval {
    let pause = sd_notify::watchdog_enabled().map_or(Duration::from_secs(3600), |limit| limit / 2);
    let mut interval = interval(pause.max(Duration::from_millis(100)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Tells systemd that the daemon watches.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells systemd that the daemon stops.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Not run by systemd, or systemd does not listen: nothing depends on it.
    let _ = sd_notify::notify(states);
}

/// Where names are kept.
pub(super) enum Named {
    /// In the gateway's own database.
    Alone(Store),
    /// In the one that gateways share, where outages are found by this gateway's numbers.
    Shared(SharedStore, Gateway),
}

/// Looks up the names of servers whose outage has opened, so that they are there when the letters are written (F-16).
pub(super) async fn name_servers(
    mut opened: mpsc::Receiver<(OutageId, Service)>,
    names: Arc<ServerNames>,
    named: Named,
    cancel: CancellationToken,
) {
    loop {
        let (outage, service) = tokio::select! {
            () = cancel.cancelled() => return,
            Some(next) = opened.recv() => next,
            else => return,
        };
        let Some(name) = names.name_of(service.addr()).await else { continue };
        let kept = match &named {
            Named::Alone(store) => store.set_server_name(outage, name).await,
            Named::Shared(shared, gateway) => shared.set_shared_name(gateway.clone(), outage, name).await,
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the server's name is not kept");
        }
    }
}
