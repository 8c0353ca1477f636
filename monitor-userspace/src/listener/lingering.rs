//! The end of a connection whose client still sends.
//!
//! A socket that is closed with bytes unread sends a reset, and a reset takes the answer away that the client has not read
//! yet. So our side is closed first, what comes is read and thrown away, and the socket is closed when the client has
//! closed its side: RFC 9112 section 9.6.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// What a client may still send. Whoever sends more sees a reset.
const MOST: usize = 64 << 20;

/// For how long it may send in any case: what is on its way arrives.
const WITHIN: Duration = Duration::from_secs(3);

/// For how long it may send when it is in earnest, and what that is: bytes in a second.
const LONGEST: Duration = Duration::from_secs(30);
const PACE: u128 = 128 * 1024;

/// A stream that is shut down in this way.
pub(super) struct Lingering<S> {
    stream: S,
    end: End,
}

enum End {
    Open,
    /// Our side is being closed.
    Closing,
    /// Bytes that came since.
    Draining {
        read: usize,
        since: Instant,
        limit: Pin<Box<Sleep>>,
    },
    Done,
}

impl<S> Lingering<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, end: End::Open }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.end {
                End::Open => this.end = End::Closing,
                End::Closing => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    this.end = End::Draining { read: 0, since: Instant::now(), limit: Box::pin(sleep(WITHIN)) };
                }
                End::Draining { read, since, limit } => {
                    if limit.as_mut().poll(cx).is_ready() {
                        let lasted = since.elapsed();
                        if lasted > LONGEST || (*read as u128) < PACE * lasted.as_millis() / 1000 {
                            this.end = End::Done;
                            continue;
                        }
                        limit.as_mut().reset(Instant::now() + Duration::from_secs(1));
                        continue;
                    }
                    if *read > MOST {
                        this.end = End::Done;
                        continue;
                    }
                    let mut bytes = [0; 16 * 1024];
                    let mut buffer = ReadBuf::new(&mut bytes);
                    let drained = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer));
                    match buffer.filled().len() {
                        // Its end, or an error: there is nobody to wait for.
                        0 => this.end = End::Done,
                        _ if drained.is_err() => this.end = End::Done,
                        more => *read += more,
                    }
                }
                End::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
