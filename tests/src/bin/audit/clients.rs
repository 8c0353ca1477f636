//! The clients: many addresses that open connections, wait for as long as people do, and note how it went.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab::Attempt as Outcome;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use socket2::{Domain, Socket, Type};

use crate::{
    clock::{MS, Ns, now, ns},
    random::Random,
};

/// Attempts of each client per minute.
const ATTEMPTS_PER_MINUTE: f64 = 10.0;

/// One attempt, as the client's own kernel tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    /// Who tried, from which port.
    pub(crate) client: SocketAddr,
    /// What it tried.
    pub(crate) service: SocketAddr,
    /// When it called connect(2).
    pub(crate) begin: Ns,
    /// When it knew, or gave up.
    pub(crate) end: Ns,
    /// How it ended. [`Outcome::TimedOut`] is a client that gave up.
    pub(crate) outcome: Outcome,
}

/// An attempt that is under way.
struct Running {
    socket: Socket,
    gives_up: Ns,
    attempt: Tried,
}

/// Lets the clients with these addresses try until `stop`; what is under way then is waited for.
pub(crate) fn run(
    addresses: &[IpAddr],
    services: &[SocketAddr],
    mut random: Random,
    stop: &AtomicBool,
) -> Result<Vec<Tried>> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let mean = 60.0 / ATTEMPTS_PER_MINUTE / addresses.len() as f64;
    let (mut running, mut done) = (Vec::new(), Vec::new());
    let mut next = now();
    loop {
        let ends = stop.load(Ordering::Relaxed);
        if ends && running.is_empty() {
            return Ok(done);
        }
        if !ends && now() >= next {
            next += ns(random.pause(mean));
            let client = *random.pick(addresses);
            for _ in 0..parallel(&mut random) {
                let service = *random.pick(services);
                let service = if service.is_ipv4() == client.is_ipv4() { service } else { continue };
                match begin(client, service, patience(&mut random))? {
                    Ok(attempt) => running.push(attempt),
                    Err(attempt) => done.push(attempt),
                }
            }
        }
        wait(&running, if ends { Ns::MAX } else { next })?;
        running.retain_mut(|attempt| match finish(attempt) {
            Some(attempt) => {
                done.push(attempt);
                false
            }
            None => true,
        });
    }
}

/// How many attempts a client begins at the same time. Half of them fall away because a service is of the other family.
fn parallel(random: &mut Random) -> usize {
    match random.unit() {
        0.0..0.85 => 2,
        _ => 6,
    }
}

/// How long a client waits.
fn patience(random: &mut Random) -> Duration {
    match random.unit() {
        0.0..0.7 => random.between(0.3, 1.2),
        0.7..0.9 => random.between(1.2, 4.0),
        _ => random.between(4.0, 12.0),
    }
}

/// Begins an attempt; `Err`: it has ended at once.
fn begin(client: IpAddr, service: SocketAddr, patience: Duration) -> Result<Result<Running, Tried>> {
    let socket = Socket::new(Domain::for_address(service), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(client, 0).into())?;
    let local = socket.local_addr()?.as_socket().context("not an IP socket")?;
    let begin = now();
    let attempt = Tried { client: local, service, begin, end: begin, outcome: Outcome::TimedOut };
    match socket.connect(&service.into()) {
        Ok(()) => Ok(Err(Tried { end: now(), outcome: Outcome::Connected, ..attempt })),
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {
            Ok(Ok(Running { socket, gives_up: begin + ns(patience), attempt }))
        }
        Err(error) => Ok(Err(Tried { end: now(), outcome: outcome(&error)?, ..attempt })),
    }
}

/// Waits until an attempt may have ended, or until `next`.
fn wait(running: &[Running], next: Ns) -> Result<()> {
    let until = running.iter().map(|attempt| attempt.gives_up).chain([next]).min().unwrap_or(next);
    let wait = until.saturating_sub(now()).div_ceil(MS).min(50);
    let mut fds: Vec<_> =
        running.iter().map(|attempt| PollFd::new(attempt.socket.as_fd(), PollFlags::POLLOUT)).collect();
    match poll(&mut fds, PollTimeout::try_from(wait)?) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The attempt, if it has ended.
fn finish(running: &mut Running) -> Option<Tried> {
    let mut fds = [PollFd::new(running.socket.as_fd(), PollFlags::POLLOUT)];
    let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    let end = now();
    let outcome = if ready {
        how_it_ended(&running.socket)
    } else if end >= running.gives_up {
        Outcome::TimedOut
    } else {
        return None;
    };
    Some(Tried { end, outcome, ..running.attempt })
}

/// How an attempt ended that has ended. Its connection may have met an error since: that is no failure to connect.
fn how_it_ended(socket: &Socket) -> Outcome {
    let error = if socket.peer_addr().is_ok() { None } else { socket.take_error().unwrap_or_else(Some) };
    match error {
        None => Outcome::Connected,
        Some(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Outcome::Connected,
        Some(error) => outcome(&error).unwrap_or(Outcome::TimedOut),
    }
}

fn outcome(error: &std::io::Error) -> Result<Outcome> {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => Ok(Outcome::Refused),
        // EACCES is what a client hears of a filter.
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::PermissionDenied => {
            Ok(Outcome::Unreachable)
        }
        ErrorKind::TimedOut => Ok(Outcome::TimedOut),
        kind => anyhow::bail!("an attempt ended in a way that the audit does not know: {kind}: {error}"),
    }
}
