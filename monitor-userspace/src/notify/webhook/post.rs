//! One POST, on a connection of its own.

use std::{io, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::handshake,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use monitor_core::{domain::UnixMs, mail::Attempt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::Webhook;

/// The longest time to connect to one address.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest time for all of it.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("cannot look the host up: {0}")]
    Lookup(io::Error),
    #[error("the host has no address")]
    NoAddress,
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("{0} is not this machine: only https leaves it")]
    InClear(SocketAddr),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("cannot be written as a request: {0}")]
    Request(#[from] hyper::http::Error),
}

/// Posts once. Never ends the delivery worker's connection to the mail server: whatever happens concerns this webhook
/// alone.
pub(super) async fn post(webhook: &Webhook, key: &str, body: &str, now: UnixMs) -> Attempt {
    let answer = match timeout(LIMIT, send(webhook, key, body, now)).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Attempt::Deferred(format!("webhook {webhook:?}: {error}")),
        Err(_) => return Attempt::Deferred(format!("webhook {webhook:?}: no answer within {} s", LIMIT.as_secs())),
    };
    match answer {
        status if status.is_success() => Attempt::Accepted,
        // The one answer that says "never again".
        StatusCode::GONE => Attempt::Refused(format!("webhook {webhook:?}: {answer}")),
        // A redirect is not followed: what is signed goes where the operator said.
        _ => Attempt::Deferred(format!("webhook {webhook:?}: {answer}")),
    }
}

async fn send(webhook: &Webhook, key: &str, body: &str, now: UnixMs) -> Result<StatusCode, PostError> {
    let (stream, peer) = connect(webhook).await?;
    if webhook.url.encrypted {
        let connector = TlsConnector::from(std::sync::Arc::clone(&webhook.tls));
        let stream = connector.connect(webhook.url.name.clone(), stream).await.map_err(PostError::Tls)?;
        exchange(stream, webhook, key, body, now).await
    } else if peer.ip().to_canonical().is_loopback() {
        exchange(stream, webhook, key, body, now).await
    } else {
        Err(PostError::InClear(peer))
    }
}

async fn connect(webhook: &Webhook) -> Result<(TcpStream, SocketAddr), PostError> {
    let mut failed = PostError::NoAddress;
    for addr in lookup_host((webhook.url.host.as_str(), webhook.url.port)).await.map_err(PostError::Lookup)? {
        match timeout(CONNECT, crate::outgoing::connect(addr)).await {
            Ok(Ok(stream)) => return Ok((stream, addr)),
            Ok(Err(error)) => failed = PostError::Connect(addr, error),
            Err(_) => failed = PostError::Connect(addr, io::ErrorKind::TimedOut.into()),
        }
    }
    Err(failed)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    webhook: &Webhook,
    key: &str,
    body: &str,
    now: UnixMs,
) -> Result<StatusCode, PostError> {
    // The same at every try, so that a receiver that sees it twice knows; without dots, which part what is signed.
    let id = key.replace('.', "-");
    let seconds = now.0.div_euclid(1000);
    let request = Request::post(webhook.url.path.as_str())
        .header(HOST, &webhook.url.authority)
        .header(USER_AGENT, concat!("ringback/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", webhook.secrets.sign(&id, seconds, body))
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    // The status says it all; nobody reads the body.
    connection.abort();
    Ok(answer?.status())
}
