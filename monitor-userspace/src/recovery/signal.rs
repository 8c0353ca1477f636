//! A signal over HTTP that a server is back: `POST /v1/recovered` with the shared secret (F-13).
//!
//! Plain HTTP: meant for loopback or a management network. Whoever can read the traffic there can signal too.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use monitor_core::{
    config::SecretError,
    domain::{MonotonicNs, Service},
    outage::{self, Observation},
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Now as _,
    listener::{self, Bounds},
    port::CoreHandle,
    secret,
};

/// Fewest characters of the secret.
const SHORTEST_SECRET: usize = 16;

/// A signal is a line of JSON.
const LONGEST_BODY: usize = 4096;

/// A signal that is not committed by then is answered as not taken.
const LIMIT: Duration = Duration::from_secs(5);

/// What a signal speaks of: one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A host with all its services.
    Server(IpAddr),
    /// One service.
    Service(Service),
}

/// `ringback signal` (F-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalRequest {
    /// What is back.
    #[serde(flatten)]
    pub target: Target,
}

impl From<Target> for outage::Target {
    fn from(target: Target) -> Self {
        match target {
            Target::Server(host) => Self::Host(host),
            Target::Service(service) => Self::Service(service),
        }
    }
}

/// Signals cannot be received: the address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot receive signals on {addr}: {source}; check recovery.signal_listen")]
pub struct SignalError {
    /// Where.
    pub addr: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// What authenticates signals: whoever knows it may signal.
#[derive(Clone)]
pub struct SignalSecret(String);

impl SignalSecret {
    /// The file's text but for white space at its end.
    ///
    /// # Errors
    /// Why the file cannot be used.
    pub fn load(file: &Path) -> Result<Self, SecretError> {
        Ok(Self(secret::read(file, SHORTEST_SECRET)?.trim_end().to_owned()))
    }
}

#[derive(Clone)]
struct Context {
    secret: SignalSecret,
    core: CoreHandle,
}

/// A listener for signals that is not served yet.
pub struct Signals {
    listener: TcpListener,
    context: Context,
}

impl Signals {
    /// Listens on `addr`.
    pub async fn bind(addr: SocketAddr, secret: SignalSecret, core: CoreHandle) -> Result<Self, SignalError> {
        let listener = TcpListener::bind(addr).await.map_err(|source| SignalError { addr, source })?;
        Ok(Self { listener, context: Context { secret, core } })
    }

    /// Where it listens.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `cancel`.
    pub(crate) async fn run(self, bounds: Bounds, cancel: CancellationToken) {
        let router = Router::new()
            .route("/v1/recovered", post(recovered))
            .layer(DefaultBodyLimit::max(LONGEST_BODY))
            .with_state(self.context);
        listener::serve(self.listener, router, bounds, cancel).await;
    }
}

async fn recovered(
    State(context): State<Context>,
    headers: HeaderMap,
    body: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !given.is_some_and(|given| same(given.as_bytes(), context.secret.0.as_bytes())) {
        return Err((StatusCode::UNAUTHORIZED, "wrong or missing secret".to_owned()));
    }
    let Json(request) = Json::<SignalRequest>::from_bytes(body.as_bytes()).map_err(|error| {
        let form = r#"write {"server":"192.0.2.7"} or {"service":"192.0.2.7:443"}"#;
        (StatusCode::BAD_REQUEST, format!("{}: {form}", error.body_text()))
    })?;
    let signal = Observation::Signal { target: request.target.into(), at: MonotonicNs::now() };
    match timeout(LIMIT, context.core.observed(signal)).await {
        Ok(Ok(())) => Ok(StatusCode::ACCEPTED),
        _ => Err((StatusCode::SERVICE_UNAVAILABLE, "not committed; send it again".to_owned())),
    }
}

/// Compares without saying, by its duration, where the first difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
