//! An SMTP server that replies oddly in one phase of a session, and well in all others. It counts what it has said yes to.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use monitor_core::mail::smtp::SmtpPhase;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::scripted_server::{Stream, acceptor};

/// How a reply is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    // Odd, and right.
    MultiLine,
    Bare,
    LineFeed,
    Bytes,
    Control,
    LongLine,
    Slow,
    GarbageFirst,
    // Twice in place of once.
    Twice,
    // With digits, and no end.
    CutBehindCode,
    CutInLines,
    Trickle,
    EndlessLine,
    EndlessLines,
    // No digits.
    Close,
    CutInCode,
    Silent,
    Garbage,
    EndlessGarbage,
    EndlessGarbageLine,
    // Refusals.
    Temporary,
    TemporaryBytes,
    Permanent,
    PermanentBare,
    PermanentEndless,
    Closing,
    // Right, and too late for a lease.
    Late,
}

/// Of a late reply.
pub(crate) const LATE: Duration = Duration::from_millis(1500);

impl Odd {
    pub(crate) const ALL: [Self; 26] = [
        Self::MultiLine,
        Self::Bare,
        Self::LineFeed,
        Self::Bytes,
        Self::Control,
        Self::LongLine,
        Self::Slow,
        Self::GarbageFirst,
        Self::Twice,
        Self::CutBehindCode,
        Self::CutInLines,
        Self::Trickle,
        Self::EndlessLine,
        Self::EndlessLines,
        Self::Close,
        Self::CutInCode,
        Self::Silent,
        Self::Garbage,
        Self::EndlessGarbage,
        Self::EndlessGarbageLine,
        Self::Temporary,
        Self::TemporaryBytes,
        Self::Permanent,
        Self::PermanentBare,
        Self::PermanentEndless,
        Self::Closing,
    ];

    /// Whether the server says yes with it, as a person would read it.
    pub(crate) fn is_yes(self) -> bool {
        use Odd::{
            Bare, Bytes, Control, CutBehindCode, CutInLines, EndlessLine, EndlessLines, GarbageFirst, LineFeed,
            LongLine, MultiLine, Slow, Trickle, Twice,
        };
        matches!(self, MultiLine | Bare | LineFeed | Bytes | Control | LongLine | Slow | GarbageFirst | Twice)
            || matches!(self, Self::Late | CutBehindCode | CutInLines | Trickle | EndlessLine | EndlessLines)
    }

    /// Whether it says no for good.
    pub(crate) fn is_never(self) -> bool {
        matches!(self, Self::Permanent | Self::PermanentBare | Self::PermanentEndless)
    }

    /// Replies with it; `None`: the session is over.
    async fn say(self, stream: &mut BufReader<Box<dyn Stream>>, code: u16, sent: &AtomicUsize) -> Option<()> {
        let whole = match self {
            Self::MultiLine => format!("{code}-one\r\n{code}-two\r\n{code} three\r\n").into_bytes(),
            Self::Bare => format!("{code}\r\n").into_bytes(),
            Self::LineFeed => format!("{code} 2.0.0 fine\n").into_bytes(),
            Self::Bytes => [format!("{code} ").as_bytes(), b"\xc7\xeb\xff\r\n"].concat(),
            Self::Control => format!("{code} \0\x1b[2J\r\x07\r\n").into_bytes(),
            Self::LongLine => format!("{code} {}\r\n", "x".repeat(40_000)).into_bytes(),
            Self::Slow => {
                for byte in format!("{code}-a\r\n{code} b\r\n").bytes() {
                    write(stream, &[byte], sent).await?;
                    tokio::time::sleep(Duration::from_millis(8)).await;
                }
                return Some(());
            }
            Self::Late => {
                tokio::time::sleep(LATE).await;
                format!("{code} fine\r\n").into_bytes()
            }
            Self::GarbageFirst => format!("what?\r\n\r\n{code} fine\r\n").into_bytes(),
            Self::Twice => format!("{code} fine\r\n{code} fine\r\n").into_bytes(),
            Self::CutBehindCode => return close(stream, format!("{code} 2.0").as_bytes(), sent).await,
            Self::CutInLines => return close(stream, format!("{code}-a\r\n{code}-").as_bytes(), sent).await,
            Self::Trickle => {
                write(stream, format!("{code} ").as_bytes(), sent).await?;
                return repeat(stream, b"x", Duration::from_millis(20), sent).await;
            }
            Self::EndlessLine => {
                write(stream, format!("{code} ").as_bytes(), sent).await?;
                return repeat(stream, &[b'x'; 8192], Duration::ZERO, sent).await;
            }
            Self::EndlessLines => {
                return repeat(stream, format!("{code}-a\r\n").repeat(500).as_bytes(), Duration::ZERO, sent).await;
            }
            Self::Close => return None,
            Self::CutInCode => return close(stream, &code.to_string().as_bytes()[..2], sent).await,
            Self::Silent => return repeat(stream, b"", Duration::from_millis(20), sent).await,
            Self::Garbage => return repeat(stream, b"hello\r\n", Duration::from_millis(50), sent).await,
            Self::EndlessGarbage => return repeat(stream, &b"hello\r\n".repeat(500), Duration::ZERO, sent).await,
            Self::EndlessGarbageLine => return repeat(stream, &[0xff; 8192], Duration::ZERO, sent).await,
            Self::Temporary => b"451 4.3.0 later\r\n".to_vec(),
            Self::TemporaryBytes => b"451-\xff\r\n451\r\n".to_vec(),
            Self::Permanent => b"550 5.1.1 never\r\n".to_vec(),
            Self::PermanentBare => b"550\r\n".to_vec(),
            Self::PermanentEndless => {
                return repeat(stream, &b"550-never\r\n".repeat(500), Duration::ZERO, sent).await;
            }
            Self::Closing => return close(stream, b"421 4.3.2 bye\r\n", sent).await,
        };
        write(stream, &whole, sent).await
    }
}

async fn write(stream: &mut BufReader<Box<dyn Stream>>, bytes: &[u8], sent: &AtomicUsize) -> Option<()> {
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()?;
    sent.fetch_add(bytes.len(), Ordering::Relaxed);
    Some(())
}

async fn close(stream: &mut BufReader<Box<dyn Stream>>, bytes: &[u8], sent: &AtomicUsize) -> Option<()> {
    write(stream, bytes, sent).await?;
    stream.shutdown().await.ok()?;
    None
}

/// For ever, or until the client has gone.
async fn repeat(
    stream: &mut BufReader<Box<dyn Stream>>,
    bytes: &[u8],
    pause: Duration,
    sent: &AtomicUsize,
) -> Option<()> {
    loop {
        write(stream, bytes, sent).await?;
        if bytes.is_empty() {
            // What the client still says is not answered; that it goes is noticed.
            let mut ignored = [0; 64];
            if stream.read(&mut ignored).await.ok()? == 0 {
                return None;
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Runs until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct OddServer {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    phase: SmtpPhase,
    odd: Odd,
    /// How often it is odd yet.
    left: AtomicUsize,
    acceptor: TlsAcceptor,
    /// By Message-ID: how often the whole message came, and how often it was said yes to.
    messages: Mutex<HashMap<String, (usize, usize)>>,
    /// Bytes of replies.
    sent: AtomicUsize,
    sessions: AtomicUsize,
}

impl OddServer {
    /// Is odd in this phase so many times.
    pub(crate) async fn start(phase: SmtpPhase, odd: Odd, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            phase,
            odd,
            left: AtomicUsize::new(times),
            acceptor: acceptor(),
            messages: Mutex::default(),
            sent: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
        });
        let server = Self { addr: listener.local_addr().unwrap(), shared: Arc::clone(&shared) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.sessions.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(session(stream, Arc::clone(&shared)));
            }
        });
        server
    }

    /// How often the whole message of this letter came, and how often the server said yes to it.
    pub(crate) fn of(&self, key: &str) -> (usize, usize) {
        let messages = self.shared.messages.lock().unwrap();
        messages.iter().find(|(id, _)| id.contains(&format!("<{key}@"))).map_or((0, 0), |(_, counts)| *counts)
    }

    pub(crate) fn bytes_sent(&self) -> usize {
        self.shared.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.shared.sessions.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Whether the reply is to be odd now.
    fn is_odd(&self, phase: SmtpPhase) -> bool {
        let count_down = |left: usize| left.checked_sub(1);
        self.phase == phase && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count_down).is_ok()
    }

    /// Replies; whether that was as it should be.
    async fn reply(&self, stream: &mut BufReader<Box<dyn Stream>>, phase: SmtpPhase, code: u16) -> Option<bool> {
        if self.is_odd(phase) {
            self.odd.say(stream, code, &self.sent).await?;
            return Some(self.odd.is_yes());
        }
        write(stream, format!("{code} fine\r\n").as_bytes(), &self.sent).await?;
        Some(true)
    }

    /// The reply to EHLO has to have its extensions to be of use.
    async fn extensions(&self, stream: &mut BufReader<Box<dyn Stream>>, starttls: bool) -> Option<()> {
        let name = if starttls { "STARTTLS" } else { "AUTH PLAIN" };
        if !self.is_odd(SmtpPhase::Hello) {
            return write(stream, format!("250-odd\r\n250 {name}\r\n").as_bytes(), &self.sent).await;
        }
        if self.odd == Odd::MultiLine {
            // As case 07 has it: the last line is a code alone.
            return write(stream, format!("250-odd\r\n250-{name}\r\n250\r\n").as_bytes(), &self.sent).await;
        }
        self.odd.say(stream, 250, &self.sent).await
    }
}

/// `None`: the session is over.
async fn session(stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(stream));
    let mut encrypted = false;
    let mut refused = shared.phase != SmtpPhase::Reset;
    shared.reply(&mut stream, SmtpPhase::Banner, 220).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split(' ').next()? {
            "EHLO" => {
                let starttls = shared.phase == SmtpPhase::StartTls && !encrypted;
                shared.extensions(&mut stream, starttls).await?;
            }
            "HELO" => drop(shared.reply(&mut stream, SmtpPhase::Hello, 250).await?),
            "STARTTLS" => {
                if shared.reply(&mut stream, SmtpPhase::StartTls, 220).await? {
                    stream = BufReader::new(Box::new(shared.acceptor.accept(stream.into_inner()).await.ok()?));
                    encrypted = true;
                }
            }
            "AUTH" => drop(shared.reply(&mut stream, SmtpPhase::Auth, 235).await?),
            "MAIL" => drop(shared.reply(&mut stream, SmtpPhase::Mail, 250).await?),
            // So that there is something to take back.
            "RCPT" if !std::mem::replace(&mut refused, true) => {
                write(&mut stream, b"451 later\r\n", &shared.sent).await?;
            }
            "RCPT" => drop(shared.reply(&mut stream, SmtpPhase::Rcpt, 250).await?),
            "RSET" => drop(shared.reply(&mut stream, SmtpPhase::Reset, 250).await?),
            "QUIT" => {
                shared.reply(&mut stream, SmtpPhase::Quit, 221).await?;
                return None;
            }
            "DATA" => {
                if shared.reply(&mut stream, SmtpPhase::Data, 354).await? {
                    message(&mut stream, &shared).await?;
                }
            }
            _ => write(&mut stream, b"500 what\r\n", &shared.sent).await?,
        }
    }
}

async fn message(stream: &mut BufReader<Box<dyn Stream>>, shared: &Shared) -> Option<()> {
    let mut data = String::new();
    while !data.ends_with("\r\n.\r\n") {
        if stream.read_line(&mut data).await.ok()? == 0 {
            return None;
        }
    }
    let id = data.lines().find(|line| line.starts_with("Message-ID: "))?.to_owned();
    // Counted before it is said: a client may act on the first byte.
    let yes = if shared.phase == SmtpPhase::Dot && shared.left.load(Ordering::Relaxed) > 0 {
        shared.odd.is_yes()
    } else {
        true
    };
    {
        let mut messages = shared.messages.lock().unwrap();
        let counts = messages.entry(id).or_default();
        counts.0 += 1;
        counts.1 += usize::from(yes);
    }
    shared.reply(stream, SmtpPhase::Dot, 250).await.map(drop)
}
