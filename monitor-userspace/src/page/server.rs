//! HTTP/1 on stand-in connections, with a limit on everything a client can hold: heads, time, connections.

use std::{net::SocketAddr, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use monitor_common::STAND_IN_TLS_PORT;
use monitor_core::domain::{ClientAddr, Service};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    counters::Count,
    listeners::PageListeners,
    routes::{self, PageContext},
    tls,
};

/// A request's head must be there by then.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// No connection lives longer. The kernel's program looks for them ten minutes; an open page connects again.
const LIFE: Duration = Duration::from_secs(240);

/// Bytes and lines of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LINES: usize = 64;

/// File descriptors that the rest of the daemon needs.
const OTHER_FILES: u64 = 512;

/// When no connection can be accepted: what is open ends meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Who is connected, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) client: ClientAddr,
    /// The server in whose name we answer; `None`: this is the gateway's own address.
    pub(super) service: Option<Service>,
}

/// Serves both kinds of connections until `closing`, then waits for those that are open.
pub(super) async fn accept(
    listeners: PageListeners,
    own: Option<TcpListener>,
    context: PageContext,
    closing: CancellationToken,
) {
    let router = routes::router(context.clone(), closing.clone());
    let mut connections = JoinSet::new();
    loop {
        let (accepted, is_own) = tokio::select! {
            () = closing.cancelled() => break,
            accepted = listeners.accept() => (accepted, false),
            accepted = accept_own(own.as_ref()) => (accepted, true),
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, client)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let counted = context.limits.connection(client.ip());
        if let Some(limit) = counted.displaces {
            context.counters.count(limit);
        }
        let Ok(local) = stream.local_addr() else { continue };
        let service = (!is_own).then(|| Service::new(local.ip(), local.port()));
        let peers = Ends { client: ClientAddr::new(client.ip()), service };
        let (context, router, closing) = (context.clone(), router.clone(), closing.clone());
        connections.spawn(async move {
            tokio::select! {
                biased;
                () = counted.displaced.cancelled() => {}
                // What goes wrong on a client's connection is the client's affair.
                _ = timeout(LIFE, meet(stream, context, router, peers, closing)) => {}
            }
        });
    }
    while connections.join_next().await.is_some() {}
}

async fn accept_own(own: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match own {
        Some(own) => own.accept().await,
        None => std::future::pending().await,
    }
}

/// Speaks with a client, over TLS where it came for that.
async fn meet(stream: TcpStream, context: PageContext, router: Router, peers: Ends, closing: CancellationToken) {
    let over_tls = peers.service.filter(|service| service.port() == STAND_IN_TLS_PORT);
    let served = match over_tls {
        None => serve(stream, router, peers, closing).await,
        Some(service) => match tls::accept(stream, &context, service).await {
            Some(stream) => serve(stream, router, peers, closing).await,
            None => return,
        },
    };
    if served.is_err_and(|error| error.is_parse() || error.is_timeout()) {
        context.counters.count(Count::BadRequest);
    }
}

async fn serve<S>(stream: S, router: Router, peers: Ends, closing: CancellationToken) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.layer(Extension(peers)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        // One request each: a browser must not find one of ours open when the real server is back.
        .keep_alive(false)
        .max_headers(HEAD_LINES)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return served,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Each connection is an open file; the usual limit is for less.
pub(super) fn raise_file_limit(connections: u32) {
    let wanted = u64::from(connections) + OTHER_FILES;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft >= wanted {
            return Ok(soft);
        }
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard).map(|()| wanted.min(hard))
    });
    match raised {
        Ok(files) if files >= wanted => {}
        Ok(files) => tracing::warn!(files, "fewer open files are allowed than standin.connections needs"),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}
