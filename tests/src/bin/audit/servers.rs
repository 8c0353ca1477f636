//! The services: listeners whose process can be gone, or can stop to accept.

use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;
use lab::{Host, wait_until};
use socket2::{Domain, Socket, Type};

/// How often a listener looks for connections.
const LOOK: Duration = Duration::from_millis(2);

/// A listener changes its state within this time, also on a busy machine.
const CHANGES_WITHIN: Duration = Duration::from_secs(10);

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// It accepts connections and closes them.
    Serves,
    /// It accepts none, and its backlog holds one: SYNs are dropped.
    Stalls,
    /// Nobody listens: RST.
    Gone,
}

/// A service on one port of a server, over IPv4 and IPv6; ended on drop.
pub(crate) struct Listener {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    port: u16,
    wanted: AtomicU8,
    reached: AtomicU8,
    done: AtomicBool,
}

impl Listener {
    /// Starts it, and waits until it serves.
    pub(crate) fn start(server: &Host, port: u16) -> Result<Self> {
        let shared = Arc::new(Shared {
            port,
            wanted: AtomicU8::new(State::Serves as u8),
            reached: AtomicU8::new(State::Gone as u8),
            done: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        // A thread keeps the namespace of the one that began it.
        let thread = server.enter(|| thread::spawn(move || serve(&serving)))?;
        let service = Self { shared, thread: Some(thread) };
        service.set(State::Serves)?;
        Ok(service)
    }

    /// Changes what it does, and waits until it does so.
    pub(crate) fn set(&self, state: State) -> Result<()> {
        self.shared.wanted.store(state as u8, Ordering::SeqCst);
        wait_until(&format!("port {} is {state:?}", self.shared.port), CHANGES_WITHIN, || {
            self.shared.reached.load(Ordering::SeqCst) == state as u8
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(shared: &Shared) {
    let mut listener = None;
    while !shared.done.load(Ordering::SeqCst) {
        let wanted = shared.wanted.load(Ordering::SeqCst);
        if wanted != shared.reached.load(Ordering::SeqCst) {
            let done = match wanted {
                wanted if wanted == State::Gone as u8 => {
                    listener = None;
                    Ok(())
                }
                wanted => open(&mut listener, shared.port, if wanted == State::Stalls as u8 { 0 } else { 1024 }),
            };
            match done {
                Ok(()) => shared.reached.store(wanted, Ordering::SeqCst),
                Err(error) => eprintln!("audit: port {}: {error}", shared.port),
            }
        }
        if wanted == State::Serves as u8
            && let Some(listener) = &listener
        {
            while listener.accept().is_ok() {}
        }
        thread::sleep(LOOK);
    }
}

/// Listens with this backlog; that of an open listener is changed.
fn open(listener: &mut Option<Socket>, port: u16, backlog: i32) -> std::io::Result<()> {
    if listener.is_none() {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.set_only_v6(false)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        *listener = Some(socket);
    }
    listener.as_ref().map_or(Ok(()), |listener| listener.listen(backlog))
}
