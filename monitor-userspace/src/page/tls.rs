//! TLS on stand-in connections to port 443: the name that the client asks for decides.

use std::{io, time::Duration};

use monitor_core::{config::OtherPortsRule, domain::Service};
use nix::sys::socket::{setsockopt, sockopt::TcpRepair};
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, rustls::server::Acceptor, server::TlsStream};

use super::{counters::Count, routes::PageContext};

/// The handshake must be done by then.
const WITHIN: Duration = Duration::from_secs(10);

/// Shakes hands in the server's name. `None`: there was no such handshake, and the connection is ended.
pub(super) async fn accept(stream: TcpStream, context: &PageContext, service: Service) -> Option<TlsStream<TcpStream>> {
    let shaken = timeout(WITHIN, shake(stream, context, service)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
    match shaken {
        Ok(stream) => stream,
        Err(_) => {
            context.counters.count(Count::TlsFailed);
            None
        }
    }
}

async fn shake(stream: TcpStream, context: &PageContext, service: Service) -> io::Result<Option<TlsStream<TcpStream>>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let in_force = context.in_force();
    let Some(tls) = in_force.certificates.of(service.addr(), start.client_hello().server_name()) else {
        context.counters.count(Count::NoCertificate);
        refuse(start.io, in_force.settings.other_ports);
        return Ok(None);
    };
    start.into_stream(tls).await.map(Some)
}

/// What a name without a certificate gets, as nearly as an open connection can, is what other ports get: an end at once, or
/// silence. In silence our side forgets the connection, and what the client still sends passes to the server.
fn refuse(stream: TcpStream, rule: OtherPortsRule) {
    let ended = match rule {
        // Without the privilege for it, it ends by FIN.
        OtherPortsRule::Silent => setsockopt(&stream, TcpRepair, &1).map_err(io::Error::from),
        OtherPortsRule::Reset | OtherPortsRule::Icmp => SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection for a name without a certificate ends in order");
    }
}
