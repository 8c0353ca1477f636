//! HTTP/1 for strangers: what one may hold is limited, so that nobody can keep the daemon from its work.
//!
//! In: a listener, the routes behind it, and bounds. Out: one answer for each connection, which the client sees whatever it
//! still sends (`lingering`). Heads, bodies and connections have time limits; connections have places (`places`), and file
//! descriptors are shared out at the start (`files`). It knows nothing of what is asked.

mod files;
mod lingering;
mod places;

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    files::{FileShares, share_files},
    places::{Displaced, HeldPlace, Places, source},
};
use lingering::Lingering;

/// A request's head must be there by then.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// Bytes and lines of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LINES: usize = 64;

/// When no connection can be accepted: what is open ends meanwhile.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// How long open connections may go on when the daemon stops.
const DRAIN: Duration = Duration::from_secs(3);

/// One request on a network.
const LIFE: Duration = Duration::from_secs(30);

/// One request of an operator: a test mail waits for the mail server.
const LIFE_OF_OPERATORS: Duration = Duration::from_secs(600);

/// Connections of one source at the same time.
const PER_SOURCE: usize = 16;

/// What a listener permits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections in all.
    most: usize,
    /// Connections of one source.
    per_source: usize,
    /// No connection lives longer.
    life: Duration,
}

impl Bounds {
    /// Of a listener on a network.
    pub(crate) fn of_network(shares: FileShares) -> Self {
        Self { most: shares.listener, per_source: PER_SOURCE.min(shares.listener), life: LIFE }
    }

    /// Of the control socket, which has one source only.
    pub(crate) const fn of_operators(shares: FileShares) -> Self {
        Self { most: shares.listener, per_source: shares.listener, life: LIFE_OF_OPERATORS }
    }
}

/// Where connections come from.
pub(crate) trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection and its source.
    fn accept_one(&self) -> impl Future<Output = io::Result<(Self::Stream, IpAddr)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept_one(&self) -> io::Result<(TcpStream, IpAddr)> {
        self.accept().await.map(|(stream, from)| (stream, from.ip()))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept_one(&self) -> io::Result<(UnixStream, IpAddr)> {
        self.accept().await.map(|(stream, _)| (stream, Ipv4Addr::LOCALHOST.into()))
    }
}

/// Serves until `cancel`; what is open then has a moment to end.
pub(crate) async fn serve(listener: impl Accept, router: Router, bounds: Bounds, cancel: CancellationToken) {
    let places = Arc::new(Places::new(bounds.most, bounds.per_source));
    let mut connections = JoinSet::new();
    loop {
        // One that was displaced still has its file until its task has ended.
        while connections.len() > bounds.most {
            connections.join_next().await;
        }
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept_one() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, from)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let (place, router, closing) = (places.take(from), router.clone(), cancel.clone());
        connections.spawn(async move {
            tokio::select! {
                biased;
                () = place.displaced.cancelled() => {}
                // What goes wrong on a client's connection is the client's affair.
                _ = timeout(bounds.life, answer(stream, router, closing)) => {}
            }
        });
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(DRAIN, drained).await;
}

/// One request and its answer, which the client sees whatever it still sends.
///
/// # Errors
/// What was wrong with the request or the connection.
pub(crate) async fn answer<S>(stream: S, router: Router, closing: CancellationToken) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        // One request each: nobody holds a place for nothing.
        .keep_alive(false)
        .max_headers(HEAD_LINES)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Lingering::new(stream)), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return served,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
