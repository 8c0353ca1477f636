//! A path between the gateway and a host, with delay, jitter, loss and cuts that a story changes while it runs.
//!
//! The path is a namespace of its own between two cables. A thread takes each frame off one cable, and puts it onto the
//! other when its time has come. Everything passes that Ethernet carries: ARP, neighbour discovery, IPv4, IPv6. The
//! kernel's own network emulator is not in every kernel.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};

use crate::{
    Host,
    flood::scramble,
    wire::{HEADER, LONGEST, Wire},
};

/// The cable towards the gateway, in the path's namespace.
pub(crate) const GATEWAY_END: &str = "gateway";
/// The cable towards the host, in the path's namespace.
pub(crate) const HOST_END: &str = "host";

/// How long the thread may sleep before it looks whether it is to end.
const IDLE: Duration = Duration::from_millis(50);

/// Frames that are taken off one cable before the other one has its turn.
const BATCH: usize = 64;

/// More frames than this are not on their way at the same time: a router's buffers are finite too.
const BUFFER: usize = 200_000;

/// What a path does to each frame, in each of its two directions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Path {
    /// The time from one end to the other. A round trip takes twice as long.
    pub delay: Duration,
    /// At most this much is added to the delay of each frame, at random. Frames may overtake each other then.
    pub jitter: Duration,
    /// The probability that a frame is lost, from 0 to 1.
    pub loss: f64,
    /// What the random numbers are made from: the same seed loses the same frames, counted from the first one.
    pub seed: u64,
}

impl Path {
    /// A path whose round trip takes this long, and that loses nothing.
    #[must_use]
    pub fn with_round_trip(time: Duration) -> Self {
        Self { delay: time / 2, ..Self::default() }
    }
}

/// A direction on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the gateway to the host.
    There,
    /// From the host to the gateway.
    Back,
}

/// What a cut drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Every frame.
    Everything,
    /// TCP from or to this port of the host. ARP still passes, so the host itself stays reachable.
    Port(u16),
}

/// What happened to frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// They were sent on.
    pub passed: u64,
    /// They were lost at random, or because too many were on their way.
    pub lost: u64,
    /// A cut dropped them.
    pub cut: u64,
}

/// A running path; ended on drop, with its namespace.
#[derive(Debug)]
pub struct Forwarder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    _namespace: Host,
}

#[derive(Debug, Default)]
struct Shared {
    done: AtomicBool,
    /// There, back.
    ways: [Mutex<Direction>; 2],
}

#[derive(Debug, Default)]
struct Direction {
    path: Path,
    frames: u64,
    cut: bool,
    cut_ports: BTreeSet<u16>,
    traffic: Traffic,
}

impl Forwarder {
    /// Begins to forward between the two cables that end in this namespace.
    pub(crate) fn start(namespace: Host, path: Path) -> Result<Self> {
        namespace.ip(&[format!("link set {GATEWAY_END} up"), format!("link set {HOST_END} up")])?;
        let ends = namespace.enter(|| Ok::<_, anyhow::Error>([Wire::open(GATEWAY_END)?, Wire::open(HOST_END)?]))??;
        let shared = Arc::<Shared>::default();
        let forwarding = Arc::clone(&shared);
        let thread = thread::spawn(move || forward(&ends, &forwarding));
        let forwarder = Self { shared, thread: Some(thread), _namespace: namespace };
        forwarder.change(path);
        Ok(forwarder)
    }

    /// Both directions do this from now on. Frames that are on their way arrive as they would have.
    pub fn change(&self, path: Path) {
        self.change_way(Way::There, path);
        self.change_way(Way::Back, Path { seed: !path.seed, ..path });
    }

    /// One direction does this from now on.
    pub fn change_way(&self, way: Way, path: Path) {
        let mut direction = self.shared.direction(way);
        (direction.path, direction.frames) = (path, 0);
    }

    /// Drops what the cut names in this direction, until [`Forwarder::mend`]. Frames that are on their way still arrive.
    pub fn cut(&self, way: Way, what: Cut) {
        let mut direction = self.shared.direction(way);
        match what {
            Cut::Everything => direction.cut = true,
            Cut::Port(port) => drop(direction.cut_ports.insert(port)),
        }
    }

    /// Undoes the same [`Forwarder::cut`].
    pub fn mend(&self, way: Way, what: Cut) {
        let mut direction = self.shared.direction(way);
        match what {
            Cut::Everything => direction.cut = false,
            Cut::Port(port) => drop(direction.cut_ports.remove(&port)),
        }
    }

    /// What has happened to frames of one direction so far.
    #[must_use]
    pub fn traffic(&self, way: Way) -> Traffic {
        self.shared.direction(way).traffic
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("lab: a path panicked");
        }
    }
}

impl Shared {
    fn direction(&self, way: Way) -> MutexGuard<'_, Direction> {
        self.ways[way as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Direction {
    /// How long this frame takes; `None`: it does not arrive.
    fn judge(&mut self, way: Way, frame: &[u8], flying: usize) -> Option<Duration> {
        if self.cut || (!self.cut_ports.is_empty() && port(way, frame).is_some_and(|p| self.cut_ports.contains(&p))) {
            self.traffic.cut += 1;
            return None;
        }
        if self.random() < self.path.loss || flying >= BUFFER {
            self.traffic.lost += 1;
            return None;
        }
        self.traffic.passed += 1;
        let jitter = if self.path.jitter.is_zero() { Duration::ZERO } else { self.path.jitter.mul_f64(self.random()) };
        Some(self.path.delay + jitter)
    }

    /// From 0 to 1.
    fn random(&mut self) -> f64 {
        self.frames += 1;
        // 53 bits are what an f64 holds exactly.
        (scramble(self.path.seed.wrapping_add(self.frames)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A frame on its way. The earliest is the greatest; of two at the same time, the one that came first.
type Flying = Reverse<(Instant, u64, usize, Vec<u8>)>;

fn forward(ends: &[Wire; 2], shared: &Shared) {
    let mut flying = BinaryHeap::<Flying>::new();
    let mut buffer = Box::new([0; LONGEST]);
    let mut number = 0;
    while !shared.done.load(Ordering::Relaxed) {
        let mut now = Instant::now();
        while let Some(Reverse((due, ..))) = flying.peek()
            && *due <= now
        {
            let Some(Reverse((_, _, to, frame))) = flying.pop() else { break };
            ends[to].send(&frame);
        }
        let wait = flying.peek().map_or(IDLE, |Reverse((due, ..))| due.saturating_duration_since(now)).min(IDLE);
        let mut fds = ends.each_ref().map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
        // Interrupted, or nothing there: the loop looks again.
        let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(wait)), None);
        now = Instant::now();
        for (from, way) in [Way::There, Way::Back].into_iter().enumerate() {
            for _ in 0..BATCH {
                let Some(frame) = ends[from].receive(&mut buffer) else { break };
                let Some(delay) = shared.direction(way).judge(way, frame, flying.len()) else { continue };
                number += 1;
                flying.push(Reverse((now + delay, number, 1 - from, frame.to_vec())));
            }
        }
    }
}

/// The host's TCP port in a frame that is on this way.
fn port(way: Way, frame: &[u8]) -> Option<u16> {
    const TCP: u8 = 6;
    let frame = frame.get(HEADER..)?;
    let segment = match frame.get(12..14)? {
        [0x08, 0x00] if frame.get(23) == Some(&TCP) => frame.get(14 + usize::from(frame[14] & 0x0f) * 4..)?,
        [0x86, 0xdd] if frame.get(20) == Some(&TCP) => frame.get(54..)?,
        _ => return None,
    };
    let at = if way == Way::There { 2 } else { 0 };
    Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Direction, HEADER, Path, Way, port};
    use crate::forged::Segment;

    #[test]
    fn the_host_s_port_is_found_in_both_directions_and_families() {
        for [client, server] in [["10.1.1.2:40000", "10.2.1.2:80"], ["[fd00:1::2]:40000", "[fd00:2::2]:80"]] {
            let (Ok(client), Ok(server)) = (client.parse(), server.parse()) else { panic!("no addresses") };
            let there = Segment::syn(client, server, 1);
            for (way, segment) in [(Way::There, there), (Way::Back, there.answer(0x12))] {
                let frame = [vec![0; HEADER], segment.frame([0; 6])].concat();
                assert_eq!(port(way, &frame), Some(80), "{way:?}");
            }
        }
        assert_eq!(port(Way::There, &[0; 60]), None);
    }

    #[test]
    fn the_same_seed_loses_the_same_frames() {
        let lost = |seed| {
            let mut direction = Direction { path: Path { loss: 0.2, seed, ..Path::default() }, ..Direction::default() };
            (0..10_000).filter(|_| direction.judge(Way::There, &[0; 60], 0).is_none()).collect::<Vec<_>>()
        };
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
        assert!((1800..2200).contains(&lost(3).len()), "{}", lost(3).len());
    }
}
