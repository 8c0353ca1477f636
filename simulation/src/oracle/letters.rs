//! Who was told of what: whether it is true, and said once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use monitor_core::domain::{MonotonicNs, OutageId, Service};
use monitor_store::OutageRecord;

use super::{Fate, Passage, ROUNDING, Report, Slip, limits};
use crate::{
    book,
    journal::Since,
    time::{MS, SECOND},
    world::Interval,
};

/// An answer's time may be a clock tick early.
const TICK: u64 = 40 * MS;

/// How long a word may wait for a store that takes no changes.
const MINUTE: u64 = 60 * SECOND;

/// One client that was told of one outage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) client: u16,
    pub(super) service: u16,
    pub(super) outage: OutageId,
    pub(super) from: u64,
    pub(super) until: u64,
}

impl Told {
    /// Whether the outage holds this time.
    pub(super) fn holds(&self, at: u64) -> bool {
        self.from <= at + ROUNDING && at <= self.until + ROUNDING
    }

    fn name(&self) -> String {
        let Self { client, service, outage, from, until } = self;
        format!("c{client} was told of outage {outage} of s{service} from {} to {}", Since(*from), Since(*until))
    }
}

/// Every client that has a letter, each letter once: one that is sent again has the same key.
pub(super) fn gather(passage: &Passage<'_>, report: &mut Report) -> Result<Vec<Told>> {
    let world = passage.world;
    let mut keys = BTreeSet::new();
    for accepted in &world.accepted {
        if !keys.insert(&accepted.letter.key) {
            report.limit("mails sent again after a lost reply or a kill");
        }
    }
    let intervals = intervals(passage)?;
    let mut keys = BTreeSet::new();
    let mut all = Vec::new();
    for letter in world.written.iter().filter(|letter| keys.insert(&letter.key)) {
        for service in letter.services() {
            let Some(outage) = intervals.get(&service.outage) else {
                report.mistake(Slip::Wrong, format!("a letter about outage {}, which nobody knows", service.outage));
                continue;
            };
            all.push(Told {
                client: book::client_number(service.client),
                service: book::service_number(service.service),
                outage: service.outage,
                from: outage.from.0,
                until: outage.until.map_or(world.now, |until| until.0),
            });
        }
    }
    Ok(all)
}

/// Outages by the kernel's clock. Where gateways share a database, by the wall clock: it does not step then.
fn intervals(passage: &Passage<'_>) -> Result<BTreeMap<OutageId, Interval>> {
    let world = passage.world;
    let Some(shared) = &world.shared else {
        return Ok(world.gateways.iter().flat_map(|gateway| gateway.outages.clone()).collect());
    };
    let offset = world.clocks().offset;
    let records = world.disk.wait(shared.store.store().outages(true, 10_000))?;
    // Since the latest SYN that was answered before, whichever gateway saw that.
    let answered_before = |service: Service, since: u64| {
        let answers = passage.answers(book::service_number(service)).iter();
        answers.map(|answer| answer.syn).filter(|syn| *syn < since).max().unwrap_or(0)
    };
    let interval = |record: &OutageRecord| Interval {
        from: MonotonicNs(answered_before(record.outage.service, offset.kernel(record.outage.since).0)),
        until: record.ended.map(|ended| offset.kernel(ended)),
    };
    Ok(records.iter().map(|record| (record.outage.id, interval(record))).collect())
}

pub(super) fn judge(passage: &Passage<'_>, letters: &[Told], report: &mut Report) {
    let mut seen: BTreeMap<(u16, OutageId), u32> = BTreeMap::new();
    for told in letters {
        *seen.entry((told.client, told.outage)).or_default() += 1;
        is_true(passage, told, report);
    }
    for ((client, outage), times) in seen {
        if times > 1 {
            report.mistake(Slip::Twice, format!("c{client} was told {times} times of outage {outage}"));
        }
    }
    twice_of_one_attempt(passage, letters, report);
    let outages: BTreeMap<OutageId, &Told> = letters.iter().map(|told| (told.outage, told)).collect();
    outages.values().for_each(|told| too_early(passage, told, report));
}

/// Whether an attempt that failed may be the reason of a letter.
pub(super) fn is_reason(passage: &Passage<'_>, fate: &Fate, told: &Told) -> bool {
    let passed = &passage.world.flows[fate.flow].passed;
    let times = passed.refusals.iter().chain(&passed.unreachables).chain(&passed.syns);
    (fate.client, fate.service) == (told.client, told.service)
        && fate.failed()
        && times.into_iter().any(|at| told.holds(*at))
}

/// Attempts that may be the reason of a letter.
fn reasons<'p>(passage: &'p Passage<'_>, told: &Told) -> impl Iterator<Item = &'p Fate> {
    let told = *told;
    passage.fates.iter().filter(move |fate| is_reason(passage, fate, &told))
}

fn is_true(passage: &Passage<'_>, told: &Told, report: &mut Report) {
    if reasons(passage, told).next().is_some() {
        return;
    }
    let own = || {
        let same = |fate: &&Fate| (fate.client, fate.service) == (told.client, told.service);
        let names: Vec<_> = passage.fates.iter().filter(same).map(|fate| passage.name(fate)).collect();
        format!("{}; its attempts: {}", told.name(), names.join("; "))
    };
    report.mistake_or(limits::of_wrong(passage, told), Slip::Wrong, own);
}

/// Two letters about one service need two attempts.
fn twice_of_one_attempt(passage: &Passage<'_>, letters: &[Told], report: &mut Report) {
    let mut by_client: BTreeMap<(u16, u16), Vec<&Told>> = BTreeMap::new();
    for told in letters {
        // What has no reason is another mistake, or a limit.
        if reasons(passage, told).next().is_some() {
            by_client.entry((told.client, told.service)).or_default().push(told);
        }
    }
    for told in by_client.values().filter(|told| told.len() > 1) {
        let attempts: BTreeSet<usize> =
            told.iter().flat_map(|told| reasons(passage, told)).map(|fate| fate.flow).collect();
        if attempts.len() < told.len() {
            let same = |fate: &&Fate| (fate.client, fate.service) == (told[0].client, told[0].service);
            let mut own = passage.fates.iter().filter(same).map(|fate| &passage.world.flows[fate.flow].passed);
            let lost = own.find_map(limits::of_twice);
            let names = || told.iter().map(|told| told.name()).collect::<Vec<_>>().join("; ");
            report.mistake_or(lost, Slip::Twice, || format!("of {} attempts: {}", attempts.len(), names()));
        }
    }
}

/// An outage ends by an answer, or by what somebody said.
fn too_early(passage: &Passage<'_>, told: &Told, report: &mut Report) {
    let near = |at: u64| at.abs_diff(told.until) <= TICK;
    let answered = passage.answers(told.service).iter().any(|answer| near(answer.at));
    let said = passage.world.said_back.iter();
    // An operator's word counts when it is taken.
    let taken = |at: u64| at <= told.until + TICK && told.until <= at + MINUTE;
    let was_said = said.into_iter().any(|(at, service)| *service == told.service && taken(*at));
    if !answered && !was_said {
        report.mistake(Slip::TooEarly, told.name());
    }
}

/// The longest that a report may take at the end of a history.
pub(super) const PATIENCE: u64 = 200 * SECOND;
