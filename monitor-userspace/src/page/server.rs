//! HTTP/1 on stand-in connections, with a limit on everything a client can hold.

use std::{net::SocketAddr, time::Duration};

use axum::{Extension, Router};
use monitor_common::STAND_IN_TLS_PORT;
use monitor_core::domain::{ClientAddr, Service};
use tokio::{
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
use crate::listener::{self, Displaced, PAUSE};

/// No connection lives longer. The kernel's program looks for them ten minutes; an open page connects again.
const LIFE: Duration = Duration::from_secs(240);

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
        // One that was displaced still has its file until its task has ended.
        while connections.len() > context.limits.most() {
            connections.join_next().await;
        }
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
        match counted.displaces {
            Some(Displaced::OfSource) => context.counters.count(Count::ClientLimit),
            Some(Displaced::OfAll) => context.counters.count(Count::Displaced),
            None => {}
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
        None => listener::answer(stream, router.layer(Extension(peers)), closing).await,
        Some(service) => match tls::accept(stream, &context, service).await {
            Some(stream) => listener::answer(stream, router.layer(Extension(peers)), closing).await,
            None => return,
        },
    };
    if served.is_err_and(|error| error.is_parse() || error.is_timeout()) {
        context.counters.count(Count::BadRequest);
    }
}
