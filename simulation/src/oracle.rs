//! What every client knows of its own attempts, against what it was told.
//!
//! An outage is what passed a gateway: the time from the latest SYN that a service answered to its first answer again, in which
//! an attempt failed. A client is to be told of it exactly if an attempt of its, whose first SYN passed then, failed. Where what
//! passed can be read in two ways, the oracle accepts both; where the product states a limit, it counts.

mod claims;
mod letters;
mod limits;

use std::{collections::BTreeMap, fmt};

use anyhow::Result;
use monitor_common::Counter;

use crate::{book::Passed, journal::Since, time::MS, world::End, world::World};

/// Times that are rounded by the kernel's slots and by the wall clock's milliseconds may be off by this.
const ROUNDING: u64 = MS;

/// What the product says that it cannot do: the oracle counts it instead of calling it a mistake.
type Limit = &'static str;

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slip {
    /// Somebody failed in an outage, and was not told.
    Missed,
    /// Somebody was told who had not failed in the outage.
    Wrong,
    /// Somebody was told twice of one outage, or of one attempt.
    Twice,
    /// People were told that a service is back, and nothing had said so.
    TooEarly,
    /// Somebody waits on a list, or an outage goes on, although all is well for long.
    Stuck,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Which kind.
    pub slip: Slip,
    /// Whose and when.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.slip, self.what)
    }
}

/// How a history went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What must not be.
    pub mistakes: Vec<Mistake>,
    /// What the product states that it cannot do, and how often it was so.
    pub limits: BTreeMap<&'static str, u64>,
    /// What happened, in numbers.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Report {
    fn limit(&mut self, what: Limit) {
        *self.limits.entry(what).or_default() += 1;
    }

    /// A mistake, unless the product states that it cannot do this.
    fn mistake_or(&mut self, limit: Option<Limit>, slip: Slip, what: impl FnOnce() -> String) {
        match limit {
            Some(limit) => self.limit(limit),
            None => self.mistake(slip, what()),
        }
    }

    fn mistake(&mut self, slip: Slip, what: String) {
        self.mistakes.push(Mistake { slip, what });
    }

    /// Adds the numbers of another history.
    pub fn add(&mut self, other: &Self) {
        self.mistakes.extend(other.mistakes.iter().cloned());
        let pairs = [(&mut self.limits, &other.limits), (&mut self.counts, &other.counts)];
        for (all, more) in pairs {
            for (what, count) in more {
                *all.entry(what).or_default() += count;
            }
        }
    }
}

/// An attempt, by what its client knows and what passed.
#[derive(Clone, Copy, Debug)]
struct Fate {
    flow: usize,
    client: u16,
    service: u16,
    first: u64,
    latest: u64,
    end: End,
}

impl Fate {
    fn failed(&self) -> bool {
        self.end != End::Connected
    }
}

/// An answer that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    at: u64,
    /// The latest SYN of its attempt that passed before.
    syn: u64,
    /// Whether it is its attempt's first one: what the kernel takes for an answer in any case.
    is_first: bool,
}

/// What passed, by service.
struct Passage<'w> {
    world: &'w World<'w>,
    fates: Vec<Fate>,
    /// Every answer that passed, by service, ascending.
    answers: BTreeMap<u16, Vec<Answer>>,
}

impl<'w> Passage<'w> {
    fn of(world: &'w World<'w>) -> Self {
        let mut fates = Vec::new();
        let mut answers: BTreeMap<u16, Vec<Answer>> = BTreeMap::new();
        for (flow, (attempt, it)) in world.plan.attempts.iter().zip(&world.flows).enumerate() {
            answers.entry(attempt.service).or_default().extend(answers_of(&it.passed));
            if let (Some(first), Some(latest)) = (it.passed.syns.iter().min(), it.passed.syns.iter().max()) {
                let end = it.end.map_or(End::TimedOut, |(_, end)| end);
                let (client, service) = (attempt.client, attempt.service);
                fates.push(Fate { flow, client, service, first: *first, latest: *latest, end });
            }
        }
        answers.values_mut().for_each(|answers| answers.sort_unstable());
        Self { world, fates, answers }
    }

    /// The answers of a service.
    fn answers(&self, service: u16) -> &[Answer] {
        self.answers.get(&service).map_or(&[][..], Vec::as_slice)
    }

    /// The last answer before `at` and the first after it.
    fn around(&self, service: u16, at: u64) -> (Option<u64>, Option<u64>) {
        let answers = self.answers(service);
        let place = answers.partition_point(|answer| answer.at <= at);
        (place.checked_sub(1).map(|before| answers[before].at), answers.get(place).map(|answer| answer.at))
    }

    fn name(&self, fate: &Fate) -> String {
        let attempt = &self.world.plan.attempts[fate.flow];
        format!("{} of {}, {:?}", attempt.name(), Since(fate.first), fate.end)
    }
}

/// The answers of one attempt.
fn answers_of(passed: &Passed) -> impl Iterator<Item = Answer> {
    let first = passed.answers.iter().min().copied();
    passed.answers.iter().map(move |at| {
        let syn = passed.syns.iter().filter(|syn| *syn <= at).max().copied().unwrap_or(*at);
        Answer { at: *at, syn, is_first: first == Some(*at) }
    })
}

/// Judges a history that is over.
pub(crate) fn judge(world: &World<'_>) -> Result<Report> {
    let passage = Passage::of(world);
    let mut report = Report::default();
    let letters = letters::gather(&passage, &mut report)?;
    letters::judge(&passage, &letters, &mut report);
    claims::judge(&passage, &letters, &mut report);
    stuck(world, &mut report)?;
    count(world, &passage, &letters, &mut report);
    Ok(report)
}

/// Nothing fails any more, and everybody's attempt is over.
fn stuck(world: &World<'_>, report: &mut Report) -> Result<()> {
    let own = world.gateways.iter().filter(|_| world.shared.is_none()).map(|gateway| gateway.store.store());
    for store in own.chain(world.shared.iter().map(|shared| shared.store.store())) {
        for outage in world.disk.wait(store.outages(false, 1000))? {
            report.mistake(Slip::Stuck, format!("outage {} of {} goes on", outage.outage.id, outage.outage.service));
        }
        for waiting in world.disk.wait(store.waiting(None, 1000))? {
            report.mistake(Slip::Stuck, format!("{} waits for {}", waiting.client, waiting.service));
        }
    }
    Ok(())
}

fn count(world: &World<'_>, passage: &Passage<'_>, letters: &[letters::Told], report: &mut Report) {
    let counts = &mut report.counts;
    let kills = world.gateways.iter().map(|gateway| gateway.kills).sum();
    let failed = passage.fates.iter().filter(|fate| fate.failed()).count();
    for (what, number) in [
        ("attempts", world.plan.attempts.len() as u64),
        ("attempts that failed", failed as u64),
        ("clients told", letters.len() as u64),
        ("kills", kills),
    ] {
        counts.insert(what, number);
    }
    let outages = world.gateways.iter().map(|gateway| gateway.outages.len() as u64).sum();
    counts.insert("outages", outages);
    for counter in Counter::ALL {
        let number = world.gateways.iter().map(|gateway| gateway.path.counted(*counter)).sum();
        if counter.is_loss() && number > 0 {
            report.limits.insert(counter.word(), number);
        }
    }
}
