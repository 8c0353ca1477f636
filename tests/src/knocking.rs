//! What a client notices of a take-over: a service that says whose it is, and a client that knocks at it all the time.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{Host, wait_until};

/// Port of the service.
pub const PORT: u16 = 80;

/// A service on a host that says its host's name to everyone who connects.
#[derive(Debug)]
pub struct Service {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Serves on every address of the host.
    pub fn start(host: &Host) -> Result<Self> {
        let listener = host.enter(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)))??;
        listener.set_nonblocking(true)?;
        let (done, name) = (Arc::new(AtomicBool::new(false)), host.name().to_owned());
        let ended = Arc::clone(&done);
        let serve = move || {
            while !ended.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut stream, _)) => drop(stream.write_all(name.as_bytes())),
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
        };
        Ok(Self { done, thread: Some(thread::spawn(serve)) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers that the client got: when, and from whom.
type Answers = Arc<Mutex<Vec<(Instant, String)>>>;

/// A client that connects every 10 ms.
#[derive(Debug)]
pub struct Knocking {
    answers: Answers,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Knocking {
    /// Begins; each try is given up when the next one begins.
    pub fn start(client: &Host, address: IpAddr) -> Result<Self> {
        let (answers, done) = (Answers::default(), Arc::new(AtomicBool::new(false)));
        let (heard, ended) = (Arc::clone(&answers), Arc::clone(&done));
        let service = SocketAddr::new(address, PORT);
        let knock = move || {
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                if let Some(name) = ask(service) {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), name));
                }
                thread::sleep(TRY.saturating_sub(begun.elapsed()));
            }
        };
        // A thread keeps the namespace of the one that began it.
        let thread = client.enter(|| thread::spawn(knock))?;
        Ok(Self { answers, done, thread: Some(thread) })
    }

    /// Who answered last.
    #[must_use]
    pub fn latest(&self) -> Option<String> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).last().map(|(_, name)| name.clone())
    }

    /// Who answered the first try that began after this moment.
    #[must_use]
    pub fn since(&self, moment: Instant) -> Vec<String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter(|(at, _)| *at > moment).map(|(_, name)| name.clone()).collect()
    }

    /// Waits until this host was the last that answered.
    pub fn answered_by(&self, name: &str, limit: Duration) -> Result<()> {
        wait_until(&format!("{name} answers"), limit, || self.latest().as_deref() == Some(name))
    }

    /// The longest time without an answer from `begin` until now.
    #[must_use]
    pub fn gap(&self, begin: Instant) -> Duration {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = answers.iter().rev().find(|(at, _)| *at <= begin).map_or(begin, |(at, _)| *at);
        let after = answers.iter().map(|(at, _)| *at).filter(|at| *at > begin);
        let times: Vec<_> = [before].into_iter().chain(after).chain([Instant::now()]).collect();
        times.windows(2).map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default()
    }
}

impl Drop for Knocking {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const TRY: Duration = Duration::from_millis(10);

fn ask(service: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&service, TRY).ok()?;
    stream.set_read_timeout(Some(TRY)).ok()?;
    let mut name = String::new();
    stream.read_to_string(&mut name).ok()?;
    (!name.is_empty()).then_some(name)
}
