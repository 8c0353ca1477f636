//! TLS from the first byte, on a TCP connection of our own.
//!
//! lettre opens such connections itself but leaves Nagle's algorithm on, which costs 40 ms per mail. Its stream type can
//! wrap a TCP connection of ours; this carries that stream back into where lettre takes ready-made ones.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

#[expect(deprecated, reason = "the only way to lettre's TLS on a connection that is already open")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::{
    Error,
    client::{AsyncTokioStream, TlsParameters},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// An encrypted connection.
#[derive(Debug)]
#[expect(deprecated, reason = "as above")]
pub(super) struct ImplicitTls {
    stream: Compat<AsyncNetworkStream>,
    peer: SocketAddr,
}

impl ImplicitTls {
    /// Shakes hands over `stream`, whose other end is `peer`.
    pub(super) async fn over(stream: TcpStream, peer: SocketAddr, tls: TlsParameters) -> Result<Self, Error> {
        #[expect(deprecated, reason = "as above")]
        let mut stream = AsyncNetworkStream::use_existing_tokio1(Box::new(stream));
        stream.upgrade_tls(tls).await?;
        Ok(Self { stream: stream.compat(), peer })
    }
}

impl AsyncTokioStream for ImplicitTls {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for ImplicitTls {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for ImplicitTls {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
