//! A POP3 connection that can be held at a command, where a test kills the program that fetches, or that is a bad one.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{Host, wait_until};

/// What is wrong with the answers to RETR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends after some hundred bytes of the mail.
    Cut,
    /// The mail comes a few bytes at a time.
    Trickle,
}

/// Bytes of a mail that come before it is cut.
const BEFORE_CUT: usize = 400;

/// Listens on 127.0.0.1 of a host and passes to a POP3 server. A command that it is shut for is not passed on; the
/// connection then stays open and silent.
#[derive(Debug)]
pub struct Pop3Gate {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    command: String,
    fault: Option<Fault>,
    /// RETR was passed on.
    in_mail: AtomicBool,
    shut: AtomicBool,
    held: AtomicBool,
    stop: AtomicBool,
}

impl Pop3Gate {
    /// Shut for `command`, such as `DELE`.
    pub fn start(host: &Host, server: SocketAddr, command: &str) -> Result<Self> {
        Self::listen(host, server, command, None)
    }

    /// Passes every command on, and has this fault until it is opened.
    pub fn faulty(host: &Host, server: SocketAddr, fault: Fault) -> Result<Self> {
        Self::listen(host, server, "RETR", Some(fault))
    }

    fn listen(host: &Host, server: SocketAddr, command: &str, fault: Option<Fault>) -> Result<Self> {
        let listener = host.enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?.context("no port for the gate")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            command: command.to_owned(),
            fault,
            in_mail: AtomicBool::new(false),
            shut: AtomicBool::new(true),
            held: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        // Sockets that this thread opens belong to the host's namespace.
        let namespace = std::fs::File::open(format!("/run/netns/{}", host.namespace()))?;
        thread::spawn(move || {
            if nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
                return;
            }
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                let state = Arc::clone(&shared);
                state.in_mail.store(false, Ordering::Relaxed);
                thread::spawn(move || pass(&stream, &upstream, &state));
            }
        });
        Ok(Self { address, state })
    }

    /// For `mailbox.pop3`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("pop3://{}", self.address)
    }

    /// Waits until a command was held.
    pub fn wait_until_held(&self) -> Result<()> {
        wait_until(&format!("{} is held", self.state.command), Duration::from_secs(20), || {
            self.state.held.load(Ordering::Relaxed)
        })
    }

    /// Passes everything from now on, on new connections.
    pub fn open(&self) {
        self.state.shut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Pop3Gate {
    fn drop(&mut self) {
        // The listening thread ends with the next connection, or with the test's process.
        self.state.stop.store(true, Ordering::Relaxed);
    }
}

/// The server's answers, with the fault.
fn answer(client: &TcpStream, server: &TcpStream, state: &State) {
    let (mut client, mut server) = (client, server);
    let (mut buffer, mut of_mail) = ([0; 4096], 0);
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        let faulty = state.shut.load(Ordering::Relaxed) && state.in_mail.load(Ordering::Relaxed);
        let passed = match state.fault.filter(|_| faulty) {
            None => client.write_all(&buffer[..length]),
            Some(Fault::Cut) => {
                let left = length.min(BEFORE_CUT - of_mail);
                of_mail += left;
                let passed = client.write_all(&buffer[..left]);
                if of_mail == BEFORE_CUT {
                    break;
                }
                passed
            }
            Some(Fault::Trickle) => buffer[..length].chunks(16).try_for_each(|piece| {
                thread::sleep(Duration::from_millis(10));
                client.write_all(piece)
            }),
        };
        if passed.is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = server.shutdown(std::net::Shutdown::Both);
}

fn pass(client: &TcpStream, server: &TcpStream, state: &Arc<State>) {
    let (Ok(to_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
    let shared = Arc::clone(state);
    thread::spawn(move || answer(&to_client, &from_server, &shared));
    let mut commands = BufReader::new(client);
    let (mut line, mut server) = (String::new(), server);
    while commands.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if line.starts_with("RETR") {
            state.in_mail.store(true, Ordering::Relaxed);
        }
        if state.fault.is_none() && state.shut.load(Ordering::Relaxed) && line.starts_with(&state.command) {
            state.held.store(true, Ordering::Relaxed);
            // Until the other side goes, which is when it is killed.
            line.clear();
            let _ = commands.read_line(&mut line);
            break;
        }
        if server.write_all(line.as_bytes()).is_err() {
            break;
        }
        line.clear();
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}
