//! Who must be told of what, from the clients' own words, the witness and the plan. The daemon has no part in it.
//!
//! The time of a service is divided by its answers: a gap is the time between two answers that follow each other. A gap
//! in which a fault was in force is an interval of failure, and ends with the first answer after it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
};

use lab::Attempt as Outcome;

use crate::{
    clients::Tried,
    clock::{MS, Ns},
    faults::Window,
    witness::{Handshake, Testimony},
};

/// Moments that are nearer to each other than this cannot be told apart for sure.
const EDGE: Ns = 20 * MS;

/// A client that gives up this shortly before its SYN/ACK passes the gateway may have got it or not.
const RACE: Ns = 5 * MS;

/// A silence shorter than this is not promised to be noticed: a lost packet looks the same.
const SHORT_SILENCE: Ns = 1_500 * MS;

/// One gap of a service: the one that ends with the answer of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Gap {
    /// Which service.
    pub(crate) service: SocketAddr,
    /// How many answers came before it.
    pub(crate) number: usize,
}

/// What follows from a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// No fault explains it: the client may be told or not.
    OwnTrouble,
    /// It was too near to the begin or end of a fault: the client may be told or not.
    Edge,
    /// It failed in an interval of failure: the client must be told.
    Must,
}

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    /// Which one, in the list of attempts.
    pub(crate) attempt: usize,
    /// When its first SYN passed the gateway.
    pub(crate) first_syn: Ns,
    /// In which gap.
    pub(crate) gap: Gap,
    /// What follows.
    pub(crate) claim: Claim,
}

/// Everything that the audit knows without the daemon.
pub(crate) struct Truth<'a> {
    /// What the clients did.
    pub(crate) attempts: &'a [Tried],
    /// What passed the gateway.
    pub(crate) testimony: &'a Testimony,
    /// What failed when.
    pub(crate) windows: &'a [Window],
    /// When each service answered, with the time of the answered SYN.
    pub(crate) answers: HashMap<SocketAddr, Vec<(Ns, Ns)>>,
    /// Every attempt that failed.
    pub(crate) failed: Vec<Failed>,
    /// Attempts that the witness did not see, or saw end otherwise than their clients.
    pub(crate) unseen: usize,
    server_of: &'a dyn Fn(SocketAddr) -> usize,
}

impl<'a> Truth<'a> {
    /// `server_of` tells the number of a service's server, `round_trip` how long a round trip to it takes at most.
    pub(crate) fn new(
        attempts: &'a [Tried],
        testimony: &'a Testimony,
        windows: &'a [Window],
        server_of: &'a dyn Fn(SocketAddr) -> usize,
        round_trip: &dyn Fn(SocketAddr) -> Ns,
    ) -> Self {
        let answers = testimony.answers();
        let mut truth = Self { attempts, testimony, windows, answers, failed: Vec::new(), unseen: 0, server_of };
        for (index, attempt) in attempts.iter().enumerate() {
            let handshake = truth.handshake(attempt);
            truth.unseen += usize::from(!agrees(attempt.outcome, handshake));
            if attempt.outcome == Outcome::Connected {
                continue;
            }
            let first_syn = handshake.and_then(|seen| seen.syns.first().copied()).unwrap_or(attempt.begin);
            let gap = truth.gap_at(attempt.service, first_syn);
            let claim = truth.claim(attempt, handshake, first_syn, gap, round_trip(attempt.service));
            truth.failed.push(Failed { attempt: index, first_syn, gap, claim });
        }
        truth.look_behind_the_faults();
        truth
    }

    /// The attempt on the wire.
    pub(crate) fn handshake(&self, attempt: &Tried) -> Option<&'a Handshake> {
        self.testimony.handshake(attempt.client, attempt.service, attempt.begin, attempt.end)
    }

    /// The gap of a service that holds this moment.
    pub(crate) fn gap_at(&self, service: SocketAddr, at: Ns) -> Gap {
        let number =
            self.answers.get(&service).map_or(0, |answers| answers.partition_point(|(answer, _)| *answer < at));
        Gap { service, number }
    }

    /// When a gap began and ended; 0 and the greatest number where there is no answer.
    pub(crate) fn bounds(&self, gap: Gap) -> (Ns, Ns) {
        let answers = self.answers.get(&gap.service).map_or(&[][..], Vec::as_slice);
        let from = gap.number.checked_sub(1).and_then(|before| answers.get(before)).map_or(0, |(at, _)| *at);
        (from, answers.get(gap.number).map_or(Ns::MAX, |(at, _)| *at))
    }

    /// The latest SYN that was answered before a gap; 0: none. Whoever tried after it has tried in what the gap belongs to.
    pub(crate) fn latest_syn(&self, gap: Gap) -> Ns {
        let answers = self.answers.get(&gap.service).map_or(&[][..], Vec::as_slice);
        answers.iter().take(gap.number).map(|(_, syn)| *syn).max().unwrap_or(0)
    }

    /// The faults that were in force in a gap.
    pub(crate) fn faults(&self, gap: Gap) -> impl Iterator<Item = &'a Window> {
        let (from, to) = self.bounds(gap);
        let here = move |window: &&Window| {
            window.concerns(gap.service, self.server_of) && window.begin < to && window.ended > from
        };
        self.windows.iter().filter(here)
    }

    /// By gap and client: the failed attempts that oblige to tell.
    pub(crate) fn must(&self) -> BTreeMap<(Gap, std::net::IpAddr), Vec<&Failed>> {
        let mut must = BTreeMap::<_, Vec<_>>::new();
        for failed in self.failed.iter().filter(|failed| failed.claim == Claim::Must) {
            must.entry((failed.gap, self.attempts[failed.attempt].client.ip())).or_default().push(failed);
        }
        must
    }

    /// Whether nobody was refused in a gap, and it was so short that its silence need not be noticed.
    pub(crate) fn is_short_silence(&self, gap: Gap) -> bool {
        let (_, to) = self.bounds(gap);
        // What was said behind the gap says nothing of it.
        let silent = |failed: &Failed| {
            let attempt = &self.attempts[failed.attempt];
            attempt.outcome == Outcome::TimedOut || attempt.end > to
        };
        self.is_short(gap) && self.failed.iter().filter(|failed| failed.gap == gap).all(silent)
    }

    /// Whether a gap was so short that silence in it looks like the loss of single packets.
    pub(crate) fn is_short(&self, gap: Gap) -> bool {
        let answers = self.answers.get(&gap.service).map_or(&[][..], Vec::as_slice);
        let before = gap.number.checked_sub(1).and_then(|before| answers.get(before)).map(|(at, _)| *at);
        let syn_after = answers.get(gap.number).map(|(_, syn)| *syn);
        before.zip(syn_after).is_some_and(|(before, after)| after.saturating_sub(before) < SHORT_SILENCE)
    }

    fn claim(&self, attempt: &Tried, handshake: Option<&Handshake>, first_syn: Ns, gap: Gap, round_trip: Ns) -> Claim {
        let (_, to) = self.bounds(gap);
        if handshake.is_none() {
            return Claim::OwnTrouble;
        }
        let answered = handshake.and_then(|seen| seen.answers.first());
        // A repeated SYN came when the service answered others again (design rule 2).
        let repeated = attempt.outcome == Outcome::TimedOut
            && handshake.and_then(|seen| seen.syns.last()).is_some_and(|latest| *latest > to);
        let mut claim = Claim::OwnTrouble;
        for window in self.faults(gap) {
            claim = claim.max(if first_syn < window.begin {
                // It may have been hit on its way, or in a repeated SYN.
                if attempt.end + round_trip + EDGE > window.begin { Claim::Edge } else { Claim::OwnTrouble }
            } else if first_syn > window.ended {
                // See `look_behind_the_faults`.
                Claim::OwnTrouble
            } else if to < window.begun + round_trip + EDGE
                || repeated
                || answered.is_some_and(|answered| *answered < attempt.end + RACE)
            {
                // The answers that were on their way have not all arrived, it had another chance, or its own answer met
                // its giving up.
                Claim::Edge
            } else {
                Claim::Must
            });
        }
        claim
    }

    /// An interval lasts until the first answer, also where the fault is over before. A client that fails then must be
    /// told if anybody failed while the fault was in force; without that, nobody could know of it.
    fn look_behind_the_faults(&mut self) {
        let gaps: BTreeSet<Gap> =
            self.failed.iter().filter(|failed| failed.claim == Claim::Must).map(|failed| failed.gap).collect();
        let late = |failed: &Failed| {
            let mut ends = self.faults(failed.gap).map(|window| window.ended);
            failed.claim == Claim::OwnTrouble && gaps.contains(&failed.gap) && ends.any(|end| end < failed.first_syn)
        };
        let late: Vec<bool> = self.failed.iter().map(late).collect();
        for (failed, _) in self.failed.iter_mut().zip(late).filter(|(_, late)| *late) {
            failed.claim = Claim::Must;
        }
    }
}

/// Whether the witness saw what the client says.
fn agrees(outcome: Outcome, handshake: Option<&Handshake>) -> bool {
    handshake.is_some_and(|seen| match outcome {
        Outcome::Connected => !seen.answers.is_empty(),
        Outcome::Refused => !seen.refusals.is_empty(),
        Outcome::Unreachable => !seen.errors.is_empty(),
        Outcome::TimedOut => true,
    })
}
