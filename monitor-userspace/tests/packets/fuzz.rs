//! Mutated captures through the programs, against a second reading of each frame ([`crate::reference`]): the verdict is
//! always "pass", each counter has the sum that the frames give it, and nothing is reported that no SYN asked for.
//!
//! `RINGBACK_FUZZ_SECONDS=600 cargo test -p monitor-userspace --test packets fuzz` runs longer than the two seconds that
//! every test run spends; `RINGBACK_FUZZ_SEED` repeats a run that failed.

use std::{
    collections::HashSet,
    env,
    net::IpAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use monitor_common::{Counter, Event, EventKind};
use monitor_core::{config::Watch, outage::Mark};

use crate::{
    Bed,
    odd::captures,
    reference::{Flow, Seen, Way, read},
    service, watch,
};

const SECONDS: u64 = 2;

/// Longer than the time-out of an attempt and a turn of the timer.
const SETTLED: Duration = Duration::from_millis(60);

/// Captures between two looks at the ring buffer: fewer reports than it holds.
const ROUND: u32 = 500;

/// Bytes that headers treat specially: nothing, everything, versions with lengths, protocols, flags.
const TELLING: [u8; 20] =
    [0, 1, 2, 4, 5, 6, 0x10, 0x12, 0x14, 0x3a, 0x2b, 0x2c, 0x3c, 0x40, 0x45, 0x4f, 0x60, 0x81, 0x86, 0xff];

/// Splitmix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Changes a frame in one way.
fn mutate(frame: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let place = random.below(frame.len());
    // Addresses seldom decide anything, what stands behind them does.
    let place = if place < 12 { random.below(frame.len()) } else { place };
    match random.below(8) {
        0 => frame[place] ^= 1 << random.below(8),
        1 => frame[place] = random.byte(),
        2 | 3 => frame[place] = TELLING[random.below(TELLING.len())],
        4 => frame.truncate(place),
        5 => frame.extend((0..random.below(60)).map(|_| 0)),
        6 => {
            frame.truncate(place);
            frame.extend(&other[random.below(other.len())..]);
        }
        _ => {
            let part = frame[place..frame.len().min(place + 1 + random.below(16))].to_vec();
            frame.splice(place..place, part);
        }
    }
    // The kernel takes frames from an Ethernet header on.
    frame.resize(frame.len().clamp(14, 1500), 0);
}

/// How many frames of each kind were given to the programs.
#[derive(Debug, Default)]
struct Given {
    syns: u64,
    syn_acks: u64,
    rst_acks: u64,
    acks: u64,
    unreachables: u64,
    malformed: u64,
    flows: HashSet<Flow>,
}

impl Given {
    fn note(&mut self, seen: Seen) {
        match seen {
            Seen::Syn(flow) => {
                self.syns += 1;
                self.flows.insert(flow);
            }
            Seen::SynAck => self.syn_acks += 1,
            Seen::RstAck => self.rst_acks += 1,
            Seen::Ack => self.acks += 1,
            Seen::Unreachable => self.unreachables += 1,
            Seen::Malformed => self.malformed += 1,
            Seen::Nothing => {}
        }
    }

    /// The flow of an event as its SYN named it.
    fn has(&self, event: &Event) -> bool {
        let bytes = |addr: IpAddr| match addr {
            IpAddr::V4(addr) => addr.octets().to_vec(),
            IpAddr::V6(addr) => addr.octets().to_vec(),
        };
        let (source, dest) = (IpAddr::from(event.client), IpAddr::from(event.server));
        // An IPv6 packet may carry an IPv4-mapped address, which is the IPv4 address to the programs.
        [bytes(source), mapped(source)].into_iter().zip([bytes(dest), mapped(dest)]).any(|(source, dest)| {
            let (source_port, dest_port) = (event.client_port, event.server_port);
            self.flows.contains(&Flow { source, source_port, dest, dest_port })
        })
    }
}

fn mapped(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}

/// One bed and what went through it.
struct Run {
    bed: Bed,
    acks: bool,
    given: Given,
    reported: u64,
}

impl Run {
    fn new(watch: &Watch, marked: bool) -> Self {
        let mut bed = Bed::with(watch);
        for failed in ["10.0.2.7:80", "[fd00::7]:80"].iter().filter(|_| marked) {
            bed.kernel.mark(Mark::Failed(service(failed))).unwrap();
            bed.kernel.mark(Mark::HostFailed(service(failed).addr())).unwrap();
        }
        Self { bed, acks: watch.client_ack, given: Given::default(), reported: 0 }
    }

    fn give(&mut self, frame: &[u8]) {
        if self.bed.may_arrive(frame) {
            self.given.note(read(frame, Way::In, self.acks));
        }
        if self.bed.may_leave(frame) {
            self.given.note(read(frame, Way::Out, self.acks));
        }
    }

    /// Reads the reports: each is about an attempt that was made.
    fn drain(&mut self) {
        let events = self.bed.events.take(usize::MAX);
        self.bed.events.release();
        for event in events {
            self.reported += 1;
            assert!(event.kind == EventKind::HostSeen || self.given.has(&event), "nobody tried this: {event:?}");
        }
    }

    fn adds_up(&mut self) {
        self.drain();
        let given = &self.given;
        let count = |counter| self.bed.count(counter);
        assert_eq!(count(Counter::Malformed), given.malformed, "malformed");
        assert_eq!(
            count(Counter::Unreachables) + count(Counter::UnreachablesUnmatched),
            given.unreachables,
            "unreachables"
        );
        let answers = count(Counter::Answers) + count(Counter::AnswersUnmatched);
        assert!((given.syn_acks..=given.syn_acks + given.acks).contains(&answers), "{answers} answers");
        assert!(count(Counter::Refusals) <= given.rst_acks, "refusals");
        // Every SYN is remembered, is a repetition, or is counted as a loss. A slot that the timer takes in the same
        // instant is counted as an eviction, as are those that a newer attempt takes.
        let taken = count(Counter::Attempts) + count(Counter::Retransmits) + count(Counter::DeadlinesFull);
        assert!(
            taken <= given.syns && given.syns <= taken + count(Counter::PendingEvicted),
            "{} SYNs, {taken} of them taken",
            given.syns
        );
        assert!(count(Counter::Expired) <= count(Counter::Attempts), "expired");
        assert!(count(Counter::Isolated) <= count(Counter::Expired), "isolated");
        assert_eq!((count(Counter::Events), self.bed.events.unreadable), (self.reported, 0), "events");
        assert_eq!(count(Counter::RingFull), 0, "the ring is read often enough");
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

#[tokio::test]
async fn every_odd_capture_adds_up_as_it_is() {
    let mut run = Run::new(&watch(), false);
    for capture in captures() {
        // Shown if the test fails.
        println!("{}", capture.name);
        for frame in &capture.frames {
            run.give(frame);
        }
        // What is pending expires: nothing is reported while the counters are read.
        tokio::time::sleep(SETTLED).await;
        run.adds_up();
    }
}

#[tokio::test]
async fn fuzzed_captures_are_passed_and_add_up() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let seed = number("RINGBACK_FUZZ_SEED").unwrap_or(clock as u64);
    let seconds = number("RINGBACK_FUZZ_SECONDS").unwrap_or(SECONDS);
    // Shown if the test fails.
    println!("RINGBACK_FUZZ_SEED={seed}");
    let mut random = Random(seed);
    let captures = captures();
    let frames: Vec<&Vec<u8>> = captures.iter().flat_map(|capture| &capture.frames).collect();
    let mut runs =
        [Run::new(&watch(), false), Run::new(&watch(), true), Run::new(&Watch { client_ack: true, ..watch() }, false)];
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        for run in &mut runs {
            for _ in 0..ROUND {
                let mut capture = captures[random.below(captures.len())].frames.clone();
                if random.below(4) == 0 {
                    let (one, other) = (random.below(capture.len()), random.below(capture.len()));
                    capture.swap(one, other);
                }
                for frame in &mut capture {
                    for _ in 0..random.below(4) {
                        mutate(frame, frames[random.below(frames.len())], &mut random);
                    }
                    run.give(frame);
                }
            }
            run.drain();
        }
    }
    tokio::time::sleep(SETTLED).await;
    for run in &mut runs {
        run.adds_up();
        let Given { syns, syn_acks, rst_acks, unreachables, malformed, .. } = run.given;
        println!("{syns} SYN, {syn_acks} SYN/ACK, {rst_acks} RST, {unreachables} unreachable, {malformed} malformed");
        assert!([syns, syn_acks, rst_acks, unreachables, malformed].iter().all(|kind| *kind > 0), "a kind is missing");
    }
}
