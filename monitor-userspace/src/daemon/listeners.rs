//! What listens on the network beside the page: traps, signals, metrics, and answers about peers.

use anyhow::{Context as _, Result};
use axum::Router;
use monitor_core::config::Config;
use monitor_store::LocalStore;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::supervise::Tasks;
use crate::{
    listener::{self, Bounds},
    peer::{Peers, answer::Answers},
    port::CoreHandle,
    recovery::{
        signal::{SignalSecret, Signals},
        snmp::{self, Trust},
    },
};

/// Bound, and not served yet.
pub(super) struct Listeners {
    pub(super) snmp: Option<snmp::Receiver>,
    signals: Option<Signals>,
    metrics: Option<TcpListener>,
    answers: Option<Answers>,
}

impl Listeners {
    /// `engines` keeps the SNMP engines.
    pub(super) async fn bind(
        config: &Config,
        trust: Trust,
        secret: Option<SignalSecret>,
        engines: &LocalStore,
        core: &CoreHandle,
    ) -> Result<Self> {
        Ok(Self {
            snmp: snmp(config, trust, engines, core).await?,
            signals: match (config.recovery.signal_listen, secret) {
                (Some(addr), Some(secret)) => Some(Signals::bind(addr, secret, core.clone()).await?),
                _ => None,
            },
            metrics: metrics(config).await?,
            answers: match config.heartbeat.answer_listen {
                Some(addr) => Some(
                    Answers::bind(addr)
                        .await
                        .with_context(|| format!("cannot answer on {addr}: check heartbeat.answer_listen"))?,
                ),
                None => None,
            },
        })
    }

    /// Serves until `cancel`.
    pub(super) fn spawn(
        self,
        tasks: &mut Tasks,
        metrics: Router,
        peers: Option<&Peers>,
        (bounds, cancel): (Bounds, &CancellationToken),
    ) {
        if let Some(listener) = self.metrics {
            tasks.spawn_sure("metrics", listener::serve(listener, metrics, bounds, cancel.clone()));
        }
        if let (Some(answers), Some(peers)) = (self.answers, peers) {
            tasks.spawn_sure("answers about peers", answers.run(peers.clone(), bounds, cancel.clone()));
        }
        if let Some(signals) = self.signals {
            tasks.spawn_sure("signals", signals.run(bounds, cancel.clone()));
        }
        if let Some(snmp) = self.snmp {
            tasks.spawn("SNMP manager", snmp.run(cancel.clone()));
        }
    }
}

/// The SNMP manager, if it is configured.
pub(super) async fn snmp(
    config: &Config,
    trust: Trust,
    store: &LocalStore,
    core: &CoreHandle,
) -> Result<Option<snmp::Receiver>> {
    let Some(addr) = config.recovery.trap_listen else { return Ok(None) };
    let engines = snmp::Engines {
        local: store.start_engine().await.context("starting the SNMP engine")?,
        remote: store.remote_engines().await.context("reading the SNMP engines")?,
    };
    Ok(Some(snmp::Receiver::bind(addr, trust, engines, core.clone()).await?))
}

/// Where metrics are served, if they are.
pub(super) async fn metrics(config: &Config) -> Result<Option<TcpListener>> {
    let Some(addr) = config.control.metrics_listen else { return Ok(None) };
    let listener = TcpListener::bind(addr).await;
    listener.map(Some).with_context(|| format!("cannot serve metrics on {addr}: check control.metrics_listen"))
}
