//! The simulation's model of the data path against the programs: the same random frames, marks and looks of the timer lead to
//! the same events and counts.

use std::{net::IpAddr, time::Duration};

use monitor_common::{Addr, Arrival, Attempt, Counter, Event, Evidence, MarkRequest, ServiceFlags, ServiceKey};
use monitor_core::{
    domain::{MonotonicNs, Service},
    outage::Mark,
};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use proptest::prelude::*;
use ringback::kernel::{Kernel, TrialProgram};
use simulation::datapath::{DataPath, Now, Sizes, Watched};

use crate::{
    Bed,
    frame::{ACK, RST, SYN, Tcp},
    service, watch,
};

const TIMEOUT: u64 = 30_000_000;

/// How exactly both sides agree on a time.
const NEAR: u64 = 20_000_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Syn(u8),
    SynAck(u8),
    Refusal(u8),
    Unreachable(u8),
    ClientReset(u8),
    Failed(u8),
    Ended(u8),
    /// Time passes, and the timer looks.
    Look(u8),
    /// So much time passes that an answer is late, and a service was silent.
    Rest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        24 => (0..8_u8).prop_map(Step::Syn),
        16 => (0..8_u8).prop_map(Step::SynAck),
        8 => (0..8_u8).prop_map(Step::Refusal),
        4 => (0..8_u8).prop_map(Step::Unreachable),
        8 => (0..8_u8).prop_map(Step::ClientReset),
        4 => (0..2_u8).prop_map(Step::Failed),
        4 => (0..2_u8).prop_map(Step::Ended),
        12 => (0..3_u8).prop_map(Step::Look),
        1 => Just(Step::Rest),
    ];
    prop::collection::vec(step, 1..60)
}

/// The clocks, as a program reads them.
fn clocks() -> Now {
    let read = |clock| {
        let time = clock_gettime(clock).unwrap();
        u64::try_from(time.tv_sec() * 1_000_000_000 + time.tv_nsec()).unwrap()
    };
    Now { exact: read(ClockId::CLOCK_MONOTONIC), coarse: read(ClockId::CLOCK_MONOTONIC_COARSE) }
}

/// The listed service, and one that is learned.
fn services() -> [Service; 2] {
    [service("10.0.2.7:80"), service("10.0.2.8:443")]
}

/// Four clients at each service; the last has the ports of the one before, and another sequence number.
fn syn(flow: u8) -> Tcp {
    let service = services()[usize::from(flow % 2)];
    let (client, seq) = (1 + (flow / 2).min(2), 1000 + u32::from(flow));
    Tcp::syn(&format!("10.0.1.{client}"), 40_000, &service.addr().to_string(), service.port(), seq)
}

fn attempt(flow: u8) -> Attempt {
    let syn = syn(flow);
    Attempt {
        client: Addr::from(syn.src),
        server: Addr::from(syn.dst),
        client_port: syn.sport,
        server_port: syn.dport,
        seq: syn.seq,
        arrival: Arrival::of_syn(1),
        ..Attempt::default()
    }
}

struct Pair {
    bed: Bed,
    model: DataPath,
}

impl Pair {
    fn new() -> Self {
        let (kernel, events) = Kernel::measured(&watch()).unwrap();
        let listed = [services()[0]].map(|service| (Addr::from(service.addr()), service.port()));
        // Large enough: where a flow lies depends on a number that only the programs know.
        let sizes = Sizes {
            cpus: 1,
            near_buckets: 2048,
            far_buckets: 1024,
            deadlines: 1024,
            ring_bytes: 1 << 24,
            services: 65_536,
        };
        let watched = Watched { listed: listed.to_vec(), learn: true };
        Self { bed: Bed { kernel, events }, model: DataPath::new(sizes, TIMEOUT, 1, watched) }
    }

    fn play(&mut self, step: Step) {
        let now = clocks();
        match step {
            Step::Syn(flow) => {
                self.bed.arrives(&syn(flow).bytes());
                self.model.syn(0, attempt(flow), now.exact);
            }
            Step::SynAck(flow) => {
                self.bed.arrives(&syn(flow).answer(SYN | ACK).bytes());
                self.model.syn_ack(0, attempt(flow), now);
            }
            Step::Refusal(flow) => {
                self.bed.arrives(&syn(flow).answer(RST | ACK).bytes());
                self.model.evidence(0, attempt(flow), Evidence::Refused, now.exact);
            }
            Step::Unreachable(flow) => {
                self.bed.arrives(&syn(flow).unreachable(1, 60));
                self.model.evidence(0, attempt(flow), Evidence::HostUnreachable, now.exact);
            }
            Step::ClientReset(flow) => {
                let reset = Tcp { flags: RST, seq: syn(flow).seq + 1, ..syn(flow) };
                self.bed.arrives(&reset.bytes());
                self.model.gave_up(0, attempt(flow), now.exact);
            }
            Step::Failed(number) => self.mark(number, Mark::Failed, |request| request.failed_ns = now.exact),
            Step::Ended(number) => {
                let ended = |service| Mark::Ended {
                    service,
                    until: MonotonicNs(now.exact),
                    report_until: MonotonicNs::default(),
                };
                self.mark(number, ended, |request| request.ended_ns = now.exact);
            }
            Step::Rest => std::thread::sleep(Duration::from_millis(1600)),
            Step::Look(passes) => {
                // Never at the moment of a time-out: which side of it the two looks are on would be chance.
                std::thread::sleep(Duration::from_millis(20 * u64::from(passes)));
                while self.model.all_deadlines().any(|at| at.abs_diff(clocks().exact) < 12_000_000) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                self.bed.kernel.trial(TrialProgram::Look, &[0; 64], 1).unwrap();
                self.model.look(clocks().exact);
            }
        }
    }

    fn mark(&mut self, number: u8, mark: impl Fn(Service) -> Mark, change: impl Fn(&mut MarkRequest)) {
        let service = services()[usize::from(number)];
        self.bed.kernel.mark(mark(service)).unwrap();
        let key = ServiceKey::new(Addr::from(service.addr()), service.port());
        let set = if number == 0 { ServiceFlags::LISTED } else { 0 };
        let mut request = MarkRequest { key, set, ..MarkRequest::default() };
        change(&mut request);
        assert!(self.model.mark(&request));
    }

    fn agree(&mut self) -> Result<(), TestCaseError> {
        let theirs = self.bed.take();
        let ours: Vec<Event> = self.model.events(0).copied().collect();
        self.model.release(ours.len());
        prop_assert_eq!(theirs.iter().map(told).collect::<Vec<_>>(), ours.iter().map(told).collect::<Vec<_>>());
        for (their, our) in theirs.iter().zip(&ours) {
            let by_chance = is_at_an_edge(their) || is_at_an_edge(our);
            for (one, other) in times(their, by_chance).into_iter().zip(times(our, by_chance)) {
                prop_assert!(one.abs_diff(other) < NEAR, "{their:?}\n{our:?}");
            }
        }
        for (counter, count) in self.bed.kernel.counters().unwrap() {
            prop_assert_eq!(count, self.model.counted(counter), "{}", counter.word());
        }
        Ok(())
    }
}

/// What an event says, without its times.
fn told(event: &Event) -> (u32, u32, IpAddr, u16, IpAddr, u16, u32, u32, u32, u32) {
    (
        event.kind as u32,
        event.evidence as u32,
        event.client.into(),
        event.client_port,
        event.server.into(),
        event.server_port,
        event.attempts,
        event.standing,
        event.answers,
        event.seq,
    )
}

/// Its times; without those of the silence around it where only chance says which silence that is.
fn times(event: &Event, by_chance: bool) -> [u64; 6] {
    let Event { seen_ns, latest_ns, at_ns, answered_syn_ns, silent_from_ns, silent_to_ns, .. } = *event;
    let silence = if by_chance { [0; 2] } else { [silent_from_ns, silent_to_ns] };
    [seen_ns, latest_ns, at_ns, answered_syn_ns, silence[0], silence[1]]
}

/// Whether it was seen just when the silence around it began or ended: each side has read its clocks at its own moment.
fn is_at_an_edge(event: &Event) -> bool {
    [event.silent_from_ns, event.silent_to_ns].iter().any(|edge| edge.abs_diff(event.seen_ns) < NEAR)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_model_of_the_simulation_says_what_the_programs_say(steps in steps()) {
        // One CPU: its ring of deadlines is the only one.
        let mut cpus = CpuSet::new();
        cpus.set(0).unwrap();
        sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let mut pair = Pair::new();
        for step in steps {
            pair.play(step);
            pair.agree()?;
        }
        prop_assert!(pair.model.counted(Counter::PendingEvicted) == 0);
    }
}
