//! Why a mistake is none of the product: what it says that it cannot do.

use monitor_common::{Counter, trying_until_ns};
use monitor_core::domain::AttemptMask;

use super::{
    Fate, Limit, Passage,
    claims::Certain,
    letters::{PATIENCE, Told},
};
use crate::{
    book::Passed,
    time::SECOND,
    world::{End, SYN_TIMEOUT},
};

/// How long other gateways are asked, and how long it takes to hear of it.
const ASKING: u64 = 6 * SECOND;

/// Of somebody who failed and was not told.
pub(super) fn of_missed(passage: &Passage<'_>, fate: &Fate, why: Certain) -> Option<Limit> {
    let world = passage.world;
    let scenario = &world.plan.scenario;
    let passed = &world.flows[fate.flow].passed;
    let limits = [
        (passed.is_forgotten, "missed: the kernel had forgotten the attempt, and counted that"),
        (vanished(passage, fate), "missed: its answer passed, and the client never said that it was gone"),
        (
            scenario.skip_connected && got_through(passage, fate),
            "not told: it got through by itself, or was answered at least",
        ),
        (
            scenario.skip_connected && is_lost_of(passage, fate),
            "not told: it seemed to get through, and a report was lost",
        ),
        (
            was_refused_alone(passage, fate),
            "not told: it was refused alone, and others or the gateway were accepted right after",
        ),
        (scenario.min_failures > 1 || scenario.min_clients > 1, "not told: too few failed, perhaps"),
        (is_asked_about(passage, fate), "not told: it was over before the other gateways had been asked"),
        (fate.first + PATIENCE > world.now, "not told yet: the history is over"),
        (passed.is_reused, "missed: it was answered, the answer was lost, and another attempt took its slot"),
        (
            is_full(passage) && (why != Certain::Said || !passed.answers.is_empty()),
            "missed: the ring buffer was full when it failed, and it was judged by what came later",
        ),
        (
            looks_like_others(passage, fate),
            "missed: another attempt of its client got through, and was taken for it: their marks are alike",
        ),
    ];
    limits.into_iter().find_map(|(holds, limit)| holds.then_some(limit))
}

/// Of somebody who was told and had got through.
pub(super) fn of_wrong(passage: &Passage<'_>, told: &Told) -> Option<Limit> {
    let world = passage.world;
    let flows = &world.flows;
    let own = || passage.fates.iter().filter(|fate| (fate.client, fate.service) == (told.client, told.service));
    let passed = || own().map(|fate| &flows[fate.flow].passed);
    let gone = own().any(|fate| looked_gone(&flows[fate.flow].passed));
    let limits = [
        (passed().any(|it| it.is_forgotten), "told although it got through: its attempt was forgotten, and counted"),
        (gone, "told although it got through: lost packets made it look as if it had gone"),
        (
            own().any(|fate| counted_outside(passage, fate, told)),
            "told although it got through: it began before the outage, and somebody said in it that it had failed",
        ),
        (
            own().any(|fate| was_not_heard(passage, fate)),
            "told although it got through: another gateway told of its outage while this one was down",
        ),
        (
            passed().any(|it| it.is_reused),
            "told although it got through: its first answer was lost, and another attempt took its slot",
        ),
    ];
    limits.into_iter().find_map(|(holds, limit)| holds.then_some(limit))
}

/// Whether a report has waited for room.
fn is_full(passage: &Passage<'_>) -> bool {
    passage.world.gateways.iter().any(|gateway| gateway.path.counted(Counter::RingFull) > 0)
}

/// Whether somebody said in the outage that an attempt of before had failed.
fn counted_outside(passage: &Passage<'_>, fate: &Fate, told: &Told) -> bool {
    fate.first < told.from && passage.world.flows[fate.flow].passed.unreachables.iter().any(|at| told.holds(*at))
}

/// Whether its service was said to be well right behind its refusal, or answered, and nobody else was refused before that: as
/// if a filter barred it.
fn was_refused_alone(passage: &Passage<'_>, fate: &Fate) -> bool {
    let refused = |fate: &Fate| passage.world.flows[fate.flow].passed.refusals.first().copied();
    let Some(said) = refused(fate) else { return false };
    let words = passage.world.said_back.iter().filter(|(_, service)| *service == fate.service).map(|(at, _)| *at);
    let later = passage.answers(fate.service).iter().filter(|answer| answer.syn > said).map(|answer| answer.at);
    let mut soon = words.chain(later).filter(|at| (said..said + 2 * SECOND).contains(at));
    // Who tried before others were answered failed in an outage of before.
    let since = passage.around(fate.service, fate.first).0.unwrap_or(0);
    let beside = |other: &&Fate| other.service == fate.service && other.client != fate.client && other.first > since;
    let others = || passage.fates.iter().filter(beside);
    soon.any(|probe| !others().filter_map(refused).any(|other| (said..probe).contains(&other)))
}

/// Whether a report of any attempt of this client was lost, and counted.
fn is_lost_of(passage: &Passage<'_>, fate: &Fate) -> bool {
    let own = |other: &&Fate| (other.client, other.service) == (fate.client, fate.service);
    passage.fates.iter().filter(own).any(|other| passage.world.flows[other.flow].passed.is_forgotten)
}

/// Whether its answer passed a gateway while another one told its client: the daemon was dead, or its store took nothing.
fn was_not_heard(passage: &Passage<'_>, fate: &Fate) -> bool {
    let plan = &passage.world.plan;
    let passed = &passage.world.flows[fate.flow].passed;
    // A kill comes some steps after it is due, and a start takes a moment.
    let dead = |at: u64| plan.kills.iter().any(|kill| kill.at <= at && at <= kill.at + kill.dead_for + ASKING);
    let stuck = |at: u64| plan.troubles.iter().any(|trouble| trouble.from <= at && at <= trouble.until + ASKING);
    plan.gateways > 1 && passed.answers.iter().any(|at| dead(*at) || stuck(*at))
}

/// Whether an attempt of the same client that got through cannot be told from the others in a waiting list.
fn looks_like_others(passage: &Passage<'_>, fate: &Fate) -> bool {
    let mask = |other: &Fate| {
        let seen = &passage.world.flows[other.flow].seen;
        AttemptMask::of(seen.client_port, seen.seq)
    };
    let own = || passage.fates.iter().filter(|other| (other.client, other.service) == (fate.client, fate.service));
    own().filter(|other| !passage.world.flows[other.flow].passed.answers.is_empty()).any(|answered| {
        let others = own().filter(|other| other.flow != answered.flow).map(mask);
        others.fold(AttemptMask::NONE, AttemptMask::and).has(mask(answered))
    })
}

/// Whoever goes to sleep, or whose last packets are lost, says nothing of it.
fn vanished(passage: &Passage<'_>, fate: &Fate) -> bool {
    let passed = &passage.world.flows[fate.flow].passed;
    !passed.answers.is_empty() && (passed.client_resets.is_empty() || fate.end == End::Asleep)
}

/// Whether silence was over while other gateways were asked of it: until then it is a suspicion.
fn is_asked_about(passage: &Passage<'_>, fate: &Fate) -> bool {
    let plan = &passage.world.plan;
    let mut asked = fate.first + SYN_TIMEOUT;
    // A daemon that is dead, or whose store takes nothing, asks later.
    for trouble in plan.troubles.iter().filter(|trouble| trouble.from <= fate.first + SYN_TIMEOUT) {
        asked = asked.max(trouble.until);
    }
    for kill in plan.kills.iter().filter(|kill| kill.at <= fate.first + SYN_TIMEOUT) {
        asked = asked.max(kill.at + kill.dead_for);
    }
    let (_, after) = passage.around(fate.service, fate.first);
    plan.gateways > 1 && after.is_some_and(|after| after < asked + ASKING)
}

fn got_through(passage: &Passage<'_>, fate: &Fate) -> bool {
    passage.fates.iter().any(|other| {
        let same = (other.client, other.service) == (fate.client, fate.service);
        let passed = &passage.world.flows[other.flow].passed;
        let latest = passed.answers.iter().max().copied().unwrap_or(0).max(other.latest);
        // An answer counts, also if its client had given up by then.
        same && !passed.answers.is_empty() && latest + SECOND >= fate.first
    })
}

/// Of somebody who was told twice of one attempt.
pub(super) fn of_twice(passed: &Passed) -> Option<Limit> {
    let limits = [
        (passed.is_forgotten, "told twice: its attempt was forgotten, and counted"),
        (looked_gone(passed), "told twice: lost packets made it look as if it had gone"),
        (passed.is_reused, "told twice: its first answer was lost, and another attempt took its slot"),
    ];
    limits.into_iter().find_map(|(holds, limit)| holds.then_some(limit))
}

/// Whether a client that got through had looked as if it could not any more: what refused it was lost behind the gateway, or
/// so many of its packets were lost before it that one came later than the next SYN of any kernel would have.
fn looked_gone(passed: &Passed) -> bool {
    let mut times = passed.syns.clone();
    times.sort_unstable();
    // The server's own repetition may reach it when its SYNs do not; an answer before its latest SYN has not reached it.
    let latest = times.last().copied().unwrap_or(0);
    times.extend(passed.answers.iter().filter(|answer| **answer > latest).min());
    let is_late = times.windows(2).any(|pair| pair[1] > trying_until_ns(times[0], pair[0]));
    !passed.refusals.is_empty() || !passed.client_resets.is_empty() || is_late
}
