//! A signal over HTTP that a server is back: `POST /v1/recovered` with the shared secret (F-13).
//!
//! Plain HTTP: meant for loopback or a management network. Whoever can read the traffic there can signal too.

use std::{fs, io, net::SocketAddr, path::PathBuf, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use monitor_core::{
    domain::{UnixMs, byte_order_mark::without_mark},
    outage::{self, Observation},
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Now as _,
    control::{SignalRequest, Target},
    port::CoreHandle,
};

/// A signal is a line of JSON.
const LONGEST_BODY: usize = 4096;

/// A signal that is not committed by then is answered as not taken.
const LIMIT: Duration = Duration::from_secs(5);

/// Why signals cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// The address cannot be listened on.
    #[error("cannot receive signals on {addr}: {source}; check recovery.signal_listen")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The secret cannot be read.
    #[error("the secret of signals in {path} cannot be read: {source}")]
    Secret {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Clone)]
struct Context {
    secret: String,
    core: CoreHandle,
}

/// A listener for signals that is not served yet.
pub struct Signals {
    listener: TcpListener,
    context: Context,
}

impl Signals {
    /// Listens on `addr`; the secret is the first line of the file at `secret`.
    pub async fn bind(addr: SocketAddr, secret: PathBuf, core: CoreHandle) -> Result<Self, SignalError> {
        let text = fs::read_to_string(&secret).map_err(|source| SignalError::Secret { path: secret, source })?;
        let listener = TcpListener::bind(addr).await.map_err(|source| SignalError::Listen { addr, source })?;
        Ok(Self { listener, context: Context { secret: without_mark(&text).trim_end().to_owned(), core } })
    }

    /// Where it listens.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `cancel`.
    pub async fn run(self, cancel: CancellationToken) -> io::Result<()> {
        let router = Router::new()
            .route("/v1/recovered", post(recovered))
            .layer(DefaultBodyLimit::max(LONGEST_BODY))
            .with_state(self.context);
        axum::serve(self.listener, router).with_graceful_shutdown(cancel.cancelled_owned()).await
    }
}

async fn recovered(
    State(context): State<Context>,
    headers: HeaderMap,
    body: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !given.is_some_and(|given| same(given.as_bytes(), context.secret.as_bytes())) {
        return Err((StatusCode::UNAUTHORIZED, "wrong or missing secret".to_owned()));
    }
    let Json(request) = Json::<SignalRequest>::from_bytes(body.as_bytes()).map_err(|error| {
        let form = r#"write {"server":"192.0.2.7"} or {"service":"192.0.2.7:443"}"#;
        (StatusCode::BAD_REQUEST, format!("{}: {form}", error.body_text()))
    })?;
    let target = match request.target {
        Target::Server(host) => outage::Target::Host(host),
        Target::Service(service) => outage::Target::Service(service),
    };
    let signal = Observation::Signal { target, at: UnixMs::now() };
    match timeout(LIMIT, context.core.observed(signal)).await {
        Ok(Ok(())) => Ok(StatusCode::ACCEPTED),
        _ => Err((StatusCode::SERVICE_UNAVAILABLE, "not committed; send it again".to_owned())),
    }
}

/// Compares without saying, by its duration, where the first difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
