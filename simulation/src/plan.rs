//! One history before it happens: who tries what when, what fails when, when the daemon is killed.

mod scenario;

pub use self::scenario::{Options, Scenario};
use crate::{
    datapath::Sizes,
    random::Random,
    time::{BEGIN, MS, SECOND},
};

/// How a client's kernel repeats a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// After 1, 3, 7, 15, 31, 63 s; it gives up at 127 s.
    Linux,
    /// Four times after a second each, then doubling.
    NewLinux,
    /// After 3, 9 s; it gives up at 21 s.
    Old,
}

/// One connection that a client tries to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Names it, whatever else is in the history.
    pub id: u32,
    /// When.
    pub at: u64,
    /// Which client.
    pub client: u16,
    /// Which service.
    pub service: u16,
    /// From which port.
    pub port: u16,
    /// How its kernel repeats its SYN.
    pub stack: Stack,
    /// When the application gives up, if it does before its kernel.
    pub patience: Option<u64>,
    /// The whole host is gone from then on, and answers nothing.
    pub asleep: Option<u64>,
    /// No packet of it is lost: it ends the history's outages.
    pub is_witness: bool,
}

/// What is wrong with a service or the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The process is down: its host refuses.
    Down,
    /// It accepts nothing and says nothing.
    Silent,
    /// The host is down: the gateway says so after 3 s.
    HostDown,
    /// What the server sends does not reach the gateway.
    NoReturn,
    /// What the gateway forwards does not reach the server.
    NoForward,
}

/// A fault and how long it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which service.
    pub service: u16,
    /// What.
    pub kind: FaultKind,
    /// Since when.
    pub from: u64,
    /// Until when.
    pub until: u64,
}

/// The daemon is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Armed at this time.
    pub at: u64,
    /// So many steps of a turn later.
    pub steps: u8,
    /// Started again after this time.
    pub dead_for: u64,
}

/// The store takes no changes for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTrouble {
    /// Since when.
    pub from: u64,
    /// Until when.
    pub until: u64,
}

/// Somebody says that a service's host is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// When.
    pub at: u64,
    /// Which service.
    pub service: u16,
    /// By a trap, else by a signal.
    pub is_trap: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the random numbers of packets depend on.
    pub seed: u64,
    /// Which kind of history this is.
    pub scenario: Scenario,
    /// How many gateways share the traffic.
    pub gateways: u16,
    /// Who tries what; ascending by time.
    pub attempts: Vec<Attempt>,
    /// What fails.
    pub faults: Vec<Fault>,
    /// When the daemon is killed.
    pub kills: Vec<Kill>,
    /// When the store takes no changes.
    pub troubles: Vec<StoreTrouble>,
    /// Steps of the wall clock: when, and by how many milliseconds.
    pub clock_steps: Vec<(u64, i64)>,
    /// Who says that what is back.
    pub words: Vec<Word>,
    /// When all faults are over.
    pub end: u64,
}

impl Plan {
    /// The history of this seed.
    #[must_use]
    pub fn of(seed: u64, options: &Options) -> Self {
        let mut random = Random::of(seed, &[1]);
        let scenario = Scenario::of(&mut random, options);
        let end = BEGIN + 5 * SECOND + scenario.lasts;
        let faults = faults(&mut Random::of(seed, &[2]), &scenario, end);
        let mut plan = Self {
            seed,
            gateways: options.gateways,
            attempts: attempts(&mut Random::of(seed, &[3]), &scenario, &faults, end),
            words: words(&mut Random::of(seed, &[4]), &scenario, &faults),
            faults,
            kills: kills(&mut Random::of(seed, &[5]), &scenario, end),
            troubles: troubles(&mut Random::of(seed, &[6]), &scenario, end),
            clock_steps: clock_steps(&mut Random::of(seed, &[7]), &scenario, end),
            scenario,
            end,
        };
        plan.attempts.extend(witnesses(&plan));
        plan.attempts.sort_by_key(|attempt| (attempt.at, attempt.id));
        plan
    }

    /// The sizes of the tables.
    #[must_use]
    pub const fn sizes(&self) -> Sizes {
        self.scenario.sizes
    }

    /// What is wrong with a service at a time: the gravest of its faults.
    pub(crate) fn fault(&self, service: u16, at: u64) -> Option<FaultKind> {
        let of = |kind| {
            let holds =
                |fault: &&Fault| fault.service == service && fault.kind == kind && fault.from <= at && at < fault.until;
            self.faults.iter().find(holds).map(|fault| fault.kind)
        };
        let gravest =
            [FaultKind::HostDown, FaultKind::NoForward, FaultKind::NoReturn, FaultKind::Silent, FaultKind::Down];
        gravest.into_iter().find_map(of)
    }
}

/// Moments when something is about to change: what happens then is where mistakes are.
fn near_an_edge(random: &mut Random, faults: &[Fault], at: u64) -> u64 {
    if faults.is_empty() {
        return at;
    }
    let fault = random.pick(faults);
    let edge = if random.per_mille(500) { fault.from } else { fault.until };
    let spread = *random.pick(&[2 * MS, 200 * MS, 4 * SECOND]);
    (edge + random.below(2 * spread)).saturating_sub(spread).max(BEGIN + 5 * SECOND)
}

fn faults(random: &mut Random, scenario: &Scenario, end: u64) -> Vec<Fault> {
    let begin = BEGIN + 5 * SECOND;
    let mut faults = Vec::new();
    for service in 0..scenario.services {
        // One service is well all the time.
        if service == scenario.services - 1 && scenario.services > 1 {
            continue;
        }
        let mut at = begin + random.below(scenario.lasts / 3);
        for _ in 0..random.within(1, 1 + u64::from(scenario.most_faults)) {
            let kind = *random.pick(&scenario.kinds);
            let lasts = *random.pick(&[SECOND / 2, 2 * SECOND, 5 * SECOND, 20 * SECOND, 60 * SECOND]);
            let until = at + 1 + random.below(2 * lasts);
            faults.push(Fault { service, kind, from: at, until: until.min(end) });
            let pause = *random.pick(&[2 * MS, SECOND, 5 * SECOND, 30 * SECOND]);
            at = until + random.below(pause);
            if at >= end {
                break;
            }
        }
    }
    faults
}

fn attempts(random: &mut Random, scenario: &Scenario, faults: &[Fault], end: u64) -> Vec<Attempt> {
    let begin = BEGIN + 5 * SECOND;
    let attempt = |id: u32| {
        let mut at = begin + random.below(end - begin);
        if random.per_mille(400) {
            at = near_an_edge(random, faults, at).min(end);
        }
        let patience = random.per_mille(scenario.impatient).then(|| {
            let most = *random.pick(&[SECOND, 4 * SECOND, 20 * SECOND]);
            random.within(SECOND / 5, most)
        });
        let asleep = random.per_mille(scenario.sleepy).then(|| at + random.below(10 * SECOND));
        Attempt {
            id,
            at,
            client: random.below(u64::from(scenario.clients)) as u16,
            service: random.below(u64::from(scenario.services)) as u16,
            port: 40_000 + random.below(u64::from(scenario.ports)) as u16,
            stack: *random.pick(&[Stack::Linux, Stack::Linux, Stack::NewLinux, Stack::Old]),
            patience,
            asleep,
            is_witness: false,
        }
    };
    (0..scenario.attempts).map(attempt).collect()
}

/// Clients whose packets are never lost: before everything, so that services are known, and after it, so that every outage
/// ends.
fn witnesses(plan: &Plan) -> Vec<Attempt> {
    let services = 0..plan.scenario.services;
    let times = [BEGIN + SECOND, BEGIN + 2 * SECOND, plan.end + SECOND, plan.end + 3 * SECOND, plan.end + 70 * SECOND];
    let all = times.into_iter().flat_map(|at| services.clone().map(move |service| (at, service)));
    let attempt = |(number, (at, service)): (usize, (u64, u16))| Attempt {
        id: u32::MAX - number as u32,
        at: at + u64::from(service) * 7 * MS,
        client: plan.scenario.clients,
        service,
        port: 30_000 + number as u16,
        stack: Stack::Linux,
        patience: None,
        asleep: None,
        is_witness: true,
    };
    all.enumerate().map(attempt).collect()
}

fn kills(random: &mut Random, scenario: &Scenario, end: u64) -> Vec<Kill> {
    let span = end - BEGIN;
    let kill = |_| {
        let most = *random.pick(&[50 * MS, 2 * SECOND, 10 * SECOND, 60 * SECOND]);
        Kill { at: BEGIN + random.below(span), steps: random.below(8) as u8, dead_for: random.below(most) }
    };
    (0..scenario.kills).map(kill).collect()
}

fn troubles(random: &mut Random, scenario: &Scenario, end: u64) -> Vec<StoreTrouble> {
    let span = end - BEGIN;
    let trouble = |_| {
        let from = BEGIN + random.below(span);
        let most = *random.pick(&[SECOND, 5 * SECOND, 30 * SECOND]);
        StoreTrouble { from, until: from + random.below(most) }
    };
    (0..scenario.troubles).map(trouble).collect()
}

fn clock_steps(random: &mut Random, scenario: &Scenario, end: u64) -> Vec<(u64, i64)> {
    let span = end - BEGIN;
    let step = |_| {
        let most = *random.pick(&[2_000, 60_000, 3 * 3_600_000]);
        (BEGIN + random.below(span), random.below(2 * most).cast_signed() - most.cast_signed())
    };
    (0..scenario.clock_steps).map(step).collect()
}

/// Most words are true; some come early.
fn words(random: &mut Random, scenario: &Scenario, faults: &[Fault]) -> Vec<Word> {
    let mut words = Vec::new();
    for fault in faults {
        if random.per_mille(scenario.words) {
            let at = fault.until + random.below(3 * SECOND);
            let early = if random.per_mille(200) { random.below(fault.until - fault.from) } else { 0 };
            words.push(Word { at: at - early, service: fault.service, is_trap: random.per_mille(500) });
        }
    }
    words
}
