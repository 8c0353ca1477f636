//! Who is to be told: attempts that failed in an outage, as far as what passed the gateway leaves no doubt.

use super::{
    Answer, Fate, Passage, Report, Slip,
    letters::{Told, is_reason},
    limits,
};
use crate::{time::MS, world::SYN_TIMEOUT};

/// A silence that the kernel remembers, as `monitor_common::SILENCE_NS`.
const SILENCE: u64 = monitor_common::SILENCE_NS;

/// How late the kernel's timer may look, and how inexact it keeps times.
const LATE: u64 = 40 * MS;

/// Why it is certain that an attempt failed in an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certain {
    /// Somebody said so, and the service answered nobody since its SYN.
    Said,
    /// The service answered no later SYN until its time-out.
    Silent,
    /// The service answered nobody for long, from before its first SYN to after its latest.
    InSilence,
}

pub(super) fn judge(passage: &Passage<'_>, letters: &[Told], report: &mut Report) {
    for fate in passage.fates.iter().filter(|fate| fate.failed()) {
        let Some(why) = certain(passage, fate) else {
            report.limit("attempts that failed by themselves, or of which what passed says too little");
            continue;
        };
        if letters.iter().any(|told| is_reason(passage, fate, told)) {
            continue;
        }
        let limit = limits::of_missed(passage, fate, why);
        report.mistake_or(limit, Slip::Missed, || format!("{} ({why:?})", passage.name(fate)));
    }
}

fn certain(passage: &Passage<'_>, fate: &Fate) -> Option<Certain> {
    let passed = &passage.world.flows[fate.flow].passed;
    // Nobody can have an outage before anything was answered (rule 3).
    let (before, after) = passage.around(fate.service, fate.first);
    before?;
    let after = after.unwrap_or(u64::MAX);
    let said = passed.refusals.iter().chain(&passed.unreachables).min();
    if said.is_some_and(|said| *said < after) {
        return Some(Certain::Said);
    }
    let deadline = fate.first + SYN_TIMEOUT + LATE;
    // An answer that came in time, to a client that had gone: its service was well.
    if passed.answers.iter().any(|answer| *answer <= deadline) {
        return None;
    }
    let answers = passage.answers(fate.service);
    let in_time = || answers.iter().filter(|answer| answer.at <= deadline);
    if in_time().all(|answer| answer.syn <= fate.first) {
        return Some(Certain::Silent);
    }
    in_silence(answers, fate, deadline).then_some(Certain::InSilence)
}

/// Whether nobody was answered for long, from a SYN before the attempt's first one to after its latest, and the kernel knows.
fn in_silence(answers: &[Answer], fate: &Fate, deadline: u64) -> bool {
    let is_long = |pair: &[Answer]| pair[1].at - pair[0].at > SILENCE + LATE;
    let Some(place) = answers.windows(2).position(|pair| is_long(pair) && fate.first < pair[1].at) else {
        return false;
    };
    let (before, after) = answers.split_at(place + 1);
    let from = before.iter().map(|answer| answer.syn).max().unwrap_or(0);
    from + LATE < fate.first && fate.latest + LATE < after[0].at && after[0].at < deadline
}
