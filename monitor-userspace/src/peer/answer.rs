//! A client asks how a watched peer is, over HTTP (O-7): `GET /v1/peers`, `GET /v1/peers/NAME`.
//!
//! In: requests from anybody who can reach the port. Out: names and states, and nothing of addresses or ways. What strangers
//! do here reaches the thread of the heartbeats a few times a second at most.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use monitor_core::{domain::UnixMs, heartbeat::status};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Ended, Peers, PeersReport};
use crate::listener::{self, Bounds};

/// An answer may be this old.
const AGE: Duration = Duration::from_millis(200);

/// How one watched system is. Fields are added, never renamed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerState {
    /// Its name.
    pub name: String,
    /// Its state, by the table of `watch/status.rs`.
    pub state: status::State,
    /// Since when.
    pub since: UnixMs,
    /// Whether it is held for up.
    pub up: bool,
}

/// A listener that is not served yet.
pub struct Answers(TcpListener);

impl Answers {
    /// Listens on `addr`.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(addr).await.map(Self)
    }

    /// Serves until `cancel`.
    pub(crate) async fn run(self, peers: Peers, bounds: Bounds, cancel: CancellationToken) {
        let latest = Latest { peers, report: Arc::default() };
        let router = Router::new().route("/v1/peers", get(all)).route("/v1/peers/{name}", get(one)).with_state(latest);
        listener::serve(self.0, router, bounds, cancel).await;
    }
}

/// The latest report, for all who ask within [`AGE`].
#[derive(Clone)]
struct Latest {
    peers: Peers,
    report: Arc<Mutex<Option<Report>>>,
}

struct Report {
    at: Instant,
    states: Vec<PeerState>,
}

impl Latest {
    async fn get(&self) -> Result<Vec<PeerState>, Ended> {
        let mut latest = self.report.lock().await;
        if let Some(report) = latest.as_ref()
            && report.at.elapsed() < AGE
        {
            return Ok(report.states.clone());
        }
        let states = states(self.peers.report().await?);
        *latest = Some(Report { at: Instant::now(), states: states.clone() });
        Ok(states)
    }
}

fn states(report: PeersReport) -> Vec<PeerState> {
    let state = |peer: super::PeerLine| {
        let watch = peer.watch?;
        Some(PeerState { name: peer.name, state: watch.state, since: watch.since, up: watch.state.is_up() })
    };
    report.peers.into_iter().filter_map(state).collect()
}

type Wrong = (StatusCode, String);

fn ended(error: Ended) -> Wrong {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn all(State(latest): State<Latest>) -> Result<Json<Vec<PeerState>>, Wrong> {
    latest.get().await.map(Json).map_err(ended)
}

async fn one(State(latest): State<Latest>, Path(name): Path<String>) -> Result<Json<PeerState>, Wrong> {
    let state = latest.get().await.map_err(ended)?.into_iter().find(|state| state.name == name);
    state.map(Json).ok_or_else(|| (StatusCode::NOT_FOUND, "no watched system has this name\n".to_owned()))
}
