//! A mail server that can be made to fail in the ways that real ones do: it defers, hangs up behind the last line, takes
//! its time, or is not there. It remembers every mail, and whether it has acknowledged it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{Host, Mail};

/// How often the server looks for connections and for a change of its manner.
const LOOK: Duration = Duration::from_millis(5);

/// How long it waits for a client's next line.
const CLIENT_SPEAKS_WITHIN: Duration = Duration::from_secs(60);

/// A slow server's answer to a mail takes this long.
const SLOW: Duration = Duration::from_secs(3);

/// How the server treats mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It takes every mail.
    Works,
    /// It refuses every recipient for now (450).
    DefersRecipients,
    /// It refuses every mail for now, behind its last line (451).
    DefersMails,
    /// It keeps the mail and hangs up without an answer: the sender cannot know that the mail has arrived.
    HangsUpAndKeeps,
    /// It hangs up without an answer and does not keep the mail.
    HangsUpAndLoses,
    /// It answers some seconds after the mail's last line.
    Slow,
    /// Nobody listens.
    Down,
}

/// A mail that has arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// The mail.
    pub mail: Mail,
    /// Whether the sender was told that it has arrived.
    pub acknowledged: bool,
}

/// The server; ended on drop.
#[derive(Debug)]
pub struct UnreliableMailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    done: AtomicBool,
    manner: Mutex<Manner>,
    arrivals: Mutex<Vec<Arrival>>,
}

impl UnreliableMailServer {
    /// Starts it on 127.0.0.1 of a host, where it works.
    pub fn start(host: &Host, port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let shared = Arc::new(Shared {
            done: AtomicBool::new(false),
            manner: Mutex::new(Manner::Works),
            arrivals: Mutex::default(),
        });
        let first =
            host.enter(|| TcpListener::bind(address))?.with_context(|| format!("cannot listen on {address}"))?;
        first.set_nonblocking(true)?;
        let serving = Arc::clone(&shared);
        // A thread keeps the namespace of the one that began it.
        let thread = host.enter(|| thread::spawn(move || serve(Some(first), address, &serving)))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// For `notify.smtp`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// It treats mails like this from now on.
    pub fn set(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// Every mail that it has kept, in the order of arrival. A mail that was sent again is there again.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for UnreliableMailServer {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, data: &[u8], acknowledged: bool) {
        let arrival = Arrival { at: Instant::now(), mail: Mail::new(data), acknowledged };
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    }
}

fn serve(mut listener: Option<TcpListener>, address: SocketAddr, shared: &Arc<Shared>) {
    while !shared.done.load(Ordering::Relaxed) {
        if shared.manner() == Manner::Down {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok().filter(|listener| listener.set_nonblocking(true).is_ok());
        }
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((stream, _))) => {
                let shared = Arc::clone(shared);
                // Ends with its client.
                thread::spawn(move || session(stream, &shared));
            }
            _ => thread::sleep(LOOK),
        }
    }
}

/// `None`: the client has gone, or the server has hung up.
fn session(stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(CLIENT_SPEAKS_WITHIN)).ok()?;
    let mut answers = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream);
    let mut say = |answer: &str| answers.write_all(format!("{answer}\r\n").as_bytes()).ok();
    say("220 lab")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split([' ', ':']).next()?.to_ascii_uppercase().as_str() {
            "RCPT" if shared.manner() == Manner::DefersRecipients => say("450 4.2.0 not now")?,
            "DATA" => {
                say("354 go on")?;
                let data = read_mail(&mut lines)?;
                match shared.manner() {
                    Manner::HangsUpAndKeeps => {
                        shared.keep(&data, false);
                        return None;
                    }
                    Manner::HangsUpAndLoses | Manner::Down => return None,
                    Manner::DefersMails => say("451 4.3.0 not now")?,
                    manner => {
                        if manner == Manner::Slow {
                            thread::sleep(SLOW);
                        }
                        // Whether a client that has gone meanwhile hears the answer, nobody knows.
                        let heard = say("250 2.0.0 taken").is_some();
                        shared.keep(&data, heard);
                        heard.then_some(())?;
                    }
                }
            }
            "QUIT" => {
                say("221 bye")?;
                return None;
            }
            _ => say("250 fine")?,
        }
    }
}

/// The mail, without the dots that SMTP doubles.
fn read_mail(lines: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        match line.as_slice() {
            b".\r\n" => return Some(data),
            [b'.', rest @ ..] => data.extend(rest),
            line => data.extend(line),
        }
    }
}
