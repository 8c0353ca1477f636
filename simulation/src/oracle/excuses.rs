//! Why a mistake is none of the product, or is one that is known.

use monitor_common::{Counter, trying_until_ns};

use super::{
    Fate, Passage,
    claims::Certain,
    letters::{PATIENCE, Told},
};
use crate::{
    book::Passed,
    time::{MS, SECOND},
    world::End,
    world::SYN_TIMEOUT,
};

/// What the oracle says instead of calling it a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// The product says that it cannot do this.
    Limit(&'static str),
    /// A finding that is not mended yet; a strict history has none of these.
    Known(&'static str),
}

use Excuse::{Known, Limit};

/// How long other gateways are asked, and how long it takes to hear of it.
const ASKING: u64 = 6 * SECOND;

/// Of somebody who failed and was not told.
pub(super) fn of_missed(passage: &Passage<'_>, fate: &Fate, why: Certain) -> Option<Excuse> {
    let world = passage.world;
    let scenario = &world.plan.scenario;
    let passed = &world.flows[fate.flow].passed;
    let excuses = [
        (passed.is_forgotten, Limit("missed: the kernel had forgotten the attempt, and counted that")),
        (vanished(passage, fate), Limit("missed: its answer passed, and the client never said that it was gone")),
        (scenario.skip_connected && got_through(passage, fate), Limit("not told: it got through by itself")),
        (
            scenario.skip_connected && is_lost_of(passage, fate),
            Limit("not told: it seemed to get through, and a report was lost"),
        ),
        (scenario.min_failures > 1 || scenario.min_clients > 1, Limit("not told: too few failed, perhaps")),
        (is_asked_about(passage, fate), Limit("not told: it was over before the other gateways had been asked")),
        (fate.first + PATIENCE > world.now, Limit("not told yet: the history is over")),
        (passed.is_reused, Known("F4: another attempt took its slot, without a count")),
        (is_behind_answer(passage, fate), Known("G8: an answer was reported behind a later refusal")),
        (ended_by_another(passage, fate), Known("G10: another gateway's end closed an outage that began after it")),
        (
            is_full(passage) && why != Certain::Said,
            Known("G4: judged when there was room, by what came after its time-out"),
        ),
        (why == Certain::InSilence, Known("G3: its silence ended in the span of the next outage")),
    ];
    excuses.into_iter().find_map(|(holds, excuse)| holds.then_some(excuse))
}

/// Of somebody who was told and had got through.
pub(super) fn of_wrong(passage: &Passage<'_>, told: &Told) -> Option<Excuse> {
    let world = passage.world;
    let flows = &world.flows;
    let own = || passage.fates.iter().filter(|fate| (fate.client, fate.service) == (told.client, told.service));
    let passed = || own().map(|fate| &flows[fate.flow].passed);
    let gone = own().filter(|fate| told.holds(fate.first)).any(|fate| looked_gone(&flows[fate.flow].passed));
    let excuses = [
        (
            passed().any(|it| it.is_forgotten),
            Limit("told although it got through: its attempt was forgotten, and counted"),
        ),
        (gone, Limit("told although it got through: lost packets made it look as if it had gone")),
        (passed().any(|it| it.is_reused), Known("F4: another attempt took its slot, without a count")),
        (
            is_full(passage) && passed().any(|it| !it.unreachables.is_empty()),
            Known("G1: its answer came while an ICMP message waited for room"),
        ),
        (
            own().any(|fate| counted_outside(passage, fate, told)),
            Known("G2: counted outside the span, and not found again"),
        ),
        (passed().any(went_on_after_answer), Known("G6: its slot was freed by an answer that did not reach it")),
        (own().any(|fate| is_behind_answer(passage, fate)), Known("G8: an answer was reported behind a later refusal")),
        (
            own().any(|fate| ended_by_another(passage, fate)),
            Known("G10: another gateway's end closed an outage that began after it"),
        ),
        (is_full(passage), Known("G9: all was known by an event that had waited for room, and others still waited")),
        (
            !world.plan.clock_steps.is_empty() && !world.plan.kills.is_empty(),
            Known("G7: a daemon started after a step of the wall clock"),
        ),
    ];
    excuses.into_iter().find_map(|(holds, excuse)| holds.then_some(excuse))
}

/// Of an outage whose end nothing had said.
pub(super) fn of_too_early(passage: &Passage<'_>) -> Option<Excuse> {
    is_full(passage).then_some(Known("G5: a repeated SYN moved the time of an answer that waited for room"))
}

/// Whether a report has waited for room.
fn is_full(passage: &Passage<'_>) -> bool {
    passage.world.gateways.iter().any(|gateway| gateway.path.counted(Counter::RingFull) > 0)
}

/// Whether somebody said in the outage that an attempt of before had failed.
fn counted_outside(passage: &Passage<'_>, fate: &Fate, told: &Told) -> bool {
    fate.first < told.from && passage.world.flows[fate.flow].passed.unreachables.iter().any(|at| told.holds(*at))
}

/// Whether a SYN passed after an answer of its attempt, which was lost or crossed it: programs may have read the clock in another
/// order.
fn went_on_after_answer(passed: &Passed) -> bool {
    let first = passed.answers.iter().min();
    passed.syns.iter().skip(1).any(|syn| first.is_some_and(|answer| *answer < syn + 5 * MS))
}

/// Whether a report of any attempt of this client was lost, and counted.
fn is_lost_of(passage: &Passage<'_>, fate: &Fate) -> bool {
    let own = |other: &&Fate| (other.client, other.service) == (fate.client, fate.service);
    passage.fates.iter().filter(own).any(|other| passage.world.flows[other.flow].passed.is_forgotten)
}

/// Whether it was refused after an answer to somebody that was reported later: its program was interrupted, or it waited for room.
fn is_behind_answer(passage: &Passage<'_>, fate: &Fate) -> bool {
    let late = if is_full(passage) { SYN_TIMEOUT } else { 5 * MS };
    let before = |at: u64| at <= fate.first && fate.first - at < late;
    let passed = &passage.world.flows[fate.flow].passed;
    let is_said = !passed.refusals.is_empty() || !passed.unreachables.is_empty();
    is_said && passage.answers(fate.service).iter().any(|answer| before(answer.at))
}

/// Whether an end that one gateway saw may have closed an outage that another one opened after it.
fn ended_by_another(passage: &Passage<'_>, fate: &Fate) -> bool {
    let passed = &passage.world.flows[fate.flow].passed;
    passage.world.gateways.len() > 1 && !(passed.refusals.is_empty() && passed.unreachables.is_empty())
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
        same && !other.failed() && other.latest + SECOND >= fate.first
    })
}

/// Of somebody who was told twice of one attempt.
pub(super) fn of_twice(passed: &Passed) -> Option<Excuse> {
    let excuses = [
        (passed.is_forgotten, Limit("told twice: its attempt was forgotten, and counted")),
        (looked_gone(passed), Limit("told twice: lost packets made it look as if it had gone")),
        (passed.is_reused, Known("F4: another attempt took its slot, without a count")),
    ];
    excuses.into_iter().find_map(|(holds, excuse)| holds.then_some(excuse))
}

/// Whether a client that got through had looked as if it could not any more: what refused it was lost behind the gateway, or
/// so many of its packets were lost before it that one came later than the next SYN of any kernel would have.
fn looked_gone(passed: &Passed) -> bool {
    let mut times = passed.syns.clone();
    times.sort_unstable();
    // The server's own repetition may reach it when its SYNs do not.
    times.extend(passed.answers.iter().min());
    let is_late = times.windows(2).any(|pair| pair[1] > trying_until_ns(times[0], pair[0]));
    !passed.refusals.is_empty() || !passed.client_resets.is_empty() || is_late
}
