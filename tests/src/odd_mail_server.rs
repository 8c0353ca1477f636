//! A mail server whose replies a test chooses, byte for byte. It keeps what it says yes to, and every command.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{Host, Mail};

/// How often the server looks for connections.
const LOOK: Duration = Duration::from_millis(5);
/// How long it waits for a client's next line.
const CLIENT_SPEAKS_WITHIN: Duration = Duration::from_secs(60);

/// One choice.
#[derive(Clone, Debug)]
pub struct OddReply {
    when: String,
    unless_hello: Option<String>,
    bytes: Vec<u8>,
    after: Duration,
    hangs_up: bool,
}

impl OddReply {
    /// Replies with these bytes to commands that begin so; `BANNER` and `.` stand for the connection and a message's end.
    pub fn to(when: &str, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        Self { when: when.to_owned(), unless_hello: None, bytes, after: Duration::ZERO, hangs_up: false }
    }

    /// Not to a client that calls itself so.
    #[must_use]
    pub fn unless_hello(self, name: &str) -> Self {
        Self { unless_hello: Some(name.to_owned()), ..self }
    }

    /// Only after this time.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// And closes the connection.
    #[must_use]
    pub fn and_hangs_up(self) -> Self {
        Self { hangs_up: true, ..self }
    }
}

/// The server on 127.0.0.1 of a host; ended on drop.
#[derive(Debug)]
pub struct OddMailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    done: AtomicBool,
    replies: Mutex<Vec<OddReply>>,
    commands: Mutex<Vec<String>>,
    mails: Mutex<Vec<Mail>>,
}

impl OddMailServer {
    /// Starts it; what `replies` do not say, it says as any mail server.
    pub fn start(host: &Host, port: u16, replies: Vec<OddReply>) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener =
            host.enter(|| TcpListener::bind(address))?.with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared { replies: Mutex::new(replies), ..Shared::default() });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&listener, &shared)
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// For `notify.smtp`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The operator of the mail server mends it.
    pub fn mend(&self) {
        self.shared.replies.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Every mail that came whole, each time that it came.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every command so far.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for OddMailServer {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The reply to this command, if one is chosen.
    fn chosen(&self, command: &str, hello: &str) -> Option<OddReply> {
        let replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |reply: &&OddReply| {
            command.starts_with(&reply.when) && reply.unless_hello.as_deref().is_none_or(|name| name != hello)
        };
        replies.iter().find(fits).cloned()
    }

    /// Says what is chosen, or `usual`; `None`: the session is over.
    fn reply(&self, stream: &mut TcpStream, command: &str, hello: &str, usual: &str) -> Option<()> {
        let Some(reply) = self.chosen(command, hello) else {
            return stream.write_all(format!("{usual}\r\n").as_bytes()).ok();
        };
        thread::sleep(reply.after);
        stream.write_all(&reply.bytes).ok()?;
        if reply.hangs_up {
            let _ = stream.shutdown(Shutdown::Both);
            return None;
        }
        Some(())
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.done.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let shared = Arc::clone(shared);
                // Ends with its client.
                thread::spawn(move || session(stream, &shared));
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// `None`: the client has gone, or the server has hung up.
fn session(stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(CLIENT_SPEAKS_WITHIN)).ok()?;
    let mut replies = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream);
    let mut hello = String::new();
    shared.reply(&mut replies, "BANNER", &hello, "220 lab")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let command = line.trim_end();
        shared.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command.to_owned());
        let verb = command.split([' ', ':']).next()?;
        if verb == "EHLO" {
            hello = command.split_once(' ')?.1.to_owned();
        }
        let usual = match verb {
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            "STARTTLS" => "502 what is that",
            _ => "250 fine",
        };
        shared.reply(&mut replies, command, &hello, usual)?;
        let goes_on = |reply: OddReply| reply.bytes.starts_with(b"3");
        match verb {
            "DATA" if shared.chosen(command, &hello).is_none_or(goes_on) => {
                let mail = Mail::new(&read_mail(&mut lines)?);
                shared.mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                shared.reply(&mut replies, ".", &hello, "250 2.0.0 taken")?;
            }
            "QUIT" => return None,
            _ => {}
        }
    }
}

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
