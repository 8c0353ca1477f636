//! Compares what was told with the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use lab::Attempt as Outcome;

use crate::{
    clock::{MS, Ns, SECOND},
    faults::Death,
    told::{Letter, Outage},
    truth::{Claim, Failed, Gap, Truth},
};

/// The daemon writes times in milliseconds.
const ROUNDING: Ns = 2 * MS;

/// `watch.syn_timeout` by default.
const TIME_OUT: Ns = 3 * SECOND;

/// A letter that was acknowledged this shortly before a death may not be noted as delivered.
const NOTED_WITHIN: Ns = 5 * SECOND;

/// Something that should not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// What kind.
    pub(crate) kind: FindingKind,
    /// The client.
    pub(crate) client: IpAddr,
    /// The service and the interval.
    pub(crate) gap: Gap,
    /// What the letters say, where there are some.
    pub(crate) letters: Vec<String>,
    /// A guess at the class of the cause.
    pub(crate) class: String,
}

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FindingKind {
    /// Must have been told and was not.
    Missed,
    /// Was told and had no failed attempt.
    Wrong,
    /// Was told twice.
    Twice,
}

/// The findings, and the numbers of the summary.
#[derive(Default)]
pub(crate) struct Verdict {
    /// What should not be.
    pub(crate) findings: Vec<Finding>,
    /// Client and interval pairs that had to be told.
    pub(crate) due: usize,
    /// Of them, those not told because the silence was short; no findings.
    pub(crate) short: usize,
    /// Of them, those not told because no daemon ran when a short silence was judged, in which others were refused.
    pub(crate) alone: usize,
    /// Failed attempts at an edge.
    pub(crate) edge: usize,
    /// Client and gap pairs in which only own trouble failed: told, and not told.
    pub(crate) own_trouble: (usize, usize),
    /// Letters that arrived more than once because the mail server or a death left it open.
    pub(crate) copies: usize,
    /// Outages of the daemon's that cover several intervals of failure.
    pub(crate) merged: usize,
}

/// Which gaps an outage covers.
struct Cover {
    first: Gap,
    last: Gap,
}

/// Compares.
pub(crate) fn judge(
    truth: &Truth<'_>,
    outages: &BTreeMap<i64, Outage>,
    letters: &[Letter],
    deaths: &[Death],
) -> Verdict {
    let mut verdict = Verdict::default();
    let covers: BTreeMap<i64, Cover> = outages.values().map(|outage| (outage.id, cover(truth, outage))).collect();
    let mut told = BTreeMap::<(Gap, IpAddr), BTreeSet<i64>>::new();
    for letter in letters {
        for id in &letter.outages {
            let Some(Cover { first, last }) = covers.get(id) else { continue };
            for number in first.number..=last.number {
                told.entry((Gap { number, ..*first }, letter.client)).or_default().insert(*id);
            }
        }
    }
    missed(truth, &told, outages, deaths, &mut verdict);
    wrong(truth, &covers, letters, &mut verdict);
    twice(&covers, outages, letters, deaths, &mut verdict);
    verdict.edge = truth.failed.iter().filter(|failed| failed.claim == Claim::Edge).count();
    let faulty: BTreeSet<Gap> = truth.must().into_keys().map(|(gap, _)| gap).collect();
    let covered = |cover: &Cover| faulty.range(cover.first..=cover.last).count();
    verdict.merged = covers.values().filter(|cover| covered(cover) > 1).count();
    verdict.findings.sort();
    verdict
}

fn cover(truth: &Truth<'_>, outage: &Outage) -> Cover {
    let first = truth.gap_at(outage.service, outage.since);
    let last = truth.gap_at(outage.service, outage.ended.saturating_sub(ROUNDING));
    Cover { first, last: last.max(first) }
}

fn missed(
    truth: &Truth<'_>,
    told: &BTreeMap<(Gap, IpAddr), BTreeSet<i64>>,
    outages: &BTreeMap<i64, Outage>,
    deaths: &[Death],
    verdict: &mut Verdict,
) {
    let must = truth.must();
    verdict.due = must.len();
    for ((gap, client), failed) in must {
        if told.contains_key(&(gap, client)) {
            continue;
        }
        if truth.is_short_silence(gap) {
            verdict.short += 1;
            continue;
        }
        if failed.iter().all(|failed| is_judged_alone(truth, failed, deaths)) {
            verdict.alone += 1;
            continue;
        }
        // The outage that came next, while an attempt still tried.
        let next = failed.iter().any(|failed| {
            let end = truth.gap_at(gap.service, truth.attempts[failed.attempt].end).number;
            (gap.number + 1..=end).any(|number| told.contains_key(&(Gap { number, ..gap }, client)))
        });
        if next && truth.is_short(gap) {
            // Its silence was too short to be noticed, and what it then failed in was.
            continue;
        }
        let first = failed.iter().map(|failed| failed.first_syn).min().unwrap_or_default();
        let (from, to) = truth.bounds(gap);
        let noticed = outages.values().any(|o| o.service == gap.service && o.since < to && o.ended > from + ROUNDING);
        let late_answer = failed.iter().any(|failed| {
            truth.handshake(&truth.attempts[failed.attempt]).is_some_and(|seen| !seen.answers.is_empty())
        });
        let dead = deaths.iter().any(|death| death.at < to && death.back > first);
        let late = failed.iter().all(|failed| failed.first_syn + TIME_OUT > to);
        let outcomes: BTreeSet<_> =
            failed.iter().map(|failed| format!("{:?}", truth.attempts[failed.attempt].outcome)).collect();
        let through = truth.attempts.iter().any(|attempt| {
            (attempt.client.ip(), attempt.service, attempt.outcome) == (client, gap.service, Outcome::Connected)
                && truth.gap_at(attempt.service, attempt.begin) == gap
        });
        let class = format!(
            "{}, {}{}{}{}{}{}",
            outcomes.into_iter().collect::<Vec<_>>().join("+"),
            if noticed { "outage noticed" } else { "outage not noticed" },
            if late { ", recovered before its time-out" } else { "" },
            if next { ", told of the next outage" } else { "" },
            if through { ", another attempt got through" } else { "" },
            if late_answer { ", answered after the client gave up" } else { "" },
            if dead { ", daemon dead between its SYN and the end" } else { "" },
        );
        verdict.findings.push(Finding { kind: FindingKind::Missed, client, gap, letters: Vec::new(), class });
    }
    let mut own = BTreeMap::<(Gap, IpAddr), Claim>::new();
    for failed in &truth.failed {
        let claim = own.entry((failed.gap, truth.attempts[failed.attempt].client.ip())).or_insert(failed.claim);
        *claim = failed.claim.max(*claim);
    }
    own.retain(|_, claim| *claim == Claim::OwnTrouble);
    let was_told = own.keys().filter(|key| told.contains_key(key)).count();
    verdict.own_trouble = (was_told, own.len() - was_told);
}

/// Whether the kernel judged this silence while no daemon ran that knew of an outage by other evidence.
fn is_judged_alone(truth: &Truth<'_>, failed: &Failed, deaths: &[Death]) -> bool {
    let judged = failed.first_syn + TIME_OUT;
    truth.attempts[failed.attempt].outcome == Outcome::TimedOut
        && truth.is_short(failed.gap)
        && deaths.iter().any(|death| death.at < judged + SECOND && death.back > judged)
}

fn wrong(truth: &Truth<'_>, covers: &BTreeMap<i64, Cover>, letters: &[Letter], verdict: &mut Verdict) {
    // By client and gap, with the latest end of a failed attempt that began in it.
    let mut failed = BTreeMap::<(IpAddr, Gap), Ns>::new();
    for one in &truth.failed {
        let attempt = &truth.attempts[one.attempt];
        let end = failed.entry((attempt.client.ip(), one.gap)).or_default();
        *end = attempt.end.max(*end);
    }
    // An attempt that began before the outage and failed in it is reason enough to tell. An outage begins with the latest
    // SYN that was answered, not with its answer.
    let failed_in = |client: IpAddr, first: Gap, last: Gap| {
        let begin = truth.latest_syn(first);
        failed.range((client, first)..=(client, last)).next().is_some()
            || failed.range((client, Gap { number: 0, ..first })..(client, first)).any(|(_, end)| *end > begin)
    };
    for letter in letters {
        for id in &letter.outages {
            let Some(Cover { first, last }) = covers.get(id) else {
                eprintln!("audit: {} names outage {id}, which `ringback outages` does not show", letter.id);
                continue;
            };
            if !failed_in(letter.client, *first, *last) {
                let (begin, end) = (truth.bounds(*first).0, truth.bounds(*last).1);
                let tried = truth.attempts.iter().any(|attempt| {
                    (attempt.client.ip(), attempt.service) == (letter.client, first.service)
                        && attempt.begin < end
                        && attempt.end > begin
                });
                let class = if tried { "its attempt got through" } else { "it had no attempt in the interval" };
                verdict.findings.push(Finding {
                    kind: FindingKind::Wrong,
                    client: letter.client,
                    gap: *last,
                    letters: vec![letter.id.clone()],
                    class: class.to_owned(),
                });
            }
        }
    }
}

fn twice(
    covers: &BTreeMap<i64, Cover>,
    outages: &BTreeMap<i64, Outage>,
    letters: &[Letter],
    deaths: &[Death],
    verdict: &mut Verdict,
) {
    let mut by_gap = BTreeMap::<(Gap, IpAddr), Vec<(&Letter, i64)>>::new();
    for letter in letters {
        for id in &letter.outages {
            // ARP may end an outage of a host before its service answers: what fails then is another outage.
            let by_host = outages.get(id).is_some_and(|outage| outage.ended_by != "answered");
            if let Some(cover) = covers.get(id).filter(|_| !by_host) {
                by_gap.entry((cover.last, letter.client)).or_default().push((letter, *id));
            }
        }
        let mut copies = letter.copies.clone();
        copies.sort_unstable();
        verdict.copies += copies.len() - 1;
        let sent_again = copies.windows(2).any(|pair| {
            let excused = |death: &Death| death.at + NOTED_WITHIN > pair[0].0 && death.at < pair[1].0;
            pair[0].1 && !deaths.iter().any(excused)
        });
        if sent_again && let Some(cover) = letter.outages.first().and_then(|id| covers.get(id)) {
            verdict.findings.push(Finding {
                kind: FindingKind::Twice,
                client: letter.client,
                gap: cover.last,
                letters: vec![letter.id.clone()],
                class: "sent again though it was acknowledged".to_owned(),
            });
        }
    }
    for ((gap, client), told) in by_gap.into_iter().filter(|(_, told)| told.len() > 1) {
        let ids: BTreeSet<i64> = told.iter().map(|(_, id)| *id).collect();
        let class = if ids.len() > 1 { "two outages in one interval" } else { "two letters for one outage" };
        let letters = told.iter().map(|(letter, _)| letter.id.clone()).collect();
        verdict.findings.push(Finding { kind: FindingKind::Twice, client, gap, letters, class: class.to_owned() });
    }
}
