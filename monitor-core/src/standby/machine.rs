//! Who is active (H-3, H-7): one machine per group of shared addresses. Beats and time in, the mode out; no I/O, no clock.
//!
//! - Only who hears no active host, and is told of none by those it hears, takes over; of several, the one of the best
//!   rank that is reachable and able. An active host stays active when a better one appears.
//! - Of two active hosts that hear each other, or of each other by a third, the worse one yields at once; the other says
//!   again that it is the one.
//! - A host that has not had a turn for as long as a take-over takes (stopped, or starved) knows that others may have
//!   taken over: it starts from the beginning.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    domain::MonotonicNs,
    heartbeat::wire::{Beat, Mode, Rank},
};

/// Why there is no hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHandOver {
    /// This host has nothing to hand over.
    #[error("this host is not active")]
    NotActive,
    /// Nobody could take it.
    #[error("no other host that could take over is heard")]
    Nobody,
}

/// What the machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StandbyFact {
    /// A beat of a peer has arrived.
    Heard {
        /// Whose.
        peer: String,
        /// What it says of itself.
        beat: Beat,
        /// Whether it hears this host.
        hears_us: bool,
    },
    /// Whether this host can serve: its interface has a link and its application answers.
    Fit(bool),
    /// The daemon ends: whoever is there takes over.
    Retires,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandbyActions {
    /// The new mode, if it has changed, and why.
    pub changed: Option<(Mode, Why)>,
    /// A rival has given way: caches that it filled must be corrected.
    pub correct_caches: bool,
    /// This host was stopped: what has arrived meanwhile is old.
    pub was_away: bool,
}

/// Why the mode has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nobody is active, and this host has the best rank of those that are heard.
    NobodyActive,
    /// Another host is active.
    OtherActive,
    /// Two were active, and the other has the better rank.
    Yielded,
    /// Another is active and does not hear this host.
    NotHeard,
    /// An operator, or the end of the daemon.
    HandedOver,
    /// The interface or the application is not able to serve.
    Unfit,
    /// The daemon did not run for longer than a take-over takes.
    Stalled,
}

impl Why {
    /// For the journal and mails.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NobodyActive => "no other host is active",
            Self::OtherActive => "another host is active",
            Self::Yielded => "two hosts were active, and the other has the better priority",
            Self::NotHeard => "another host is active and does not hear this one",
            Self::HandedOver => "handed over in order",
            Self::Unfit => "this host cannot serve: its interface has no link, or its application fails",
            Self::Stalled => "the daemon did not run for longer than a take-over takes",
        }
    }
}

#[derive(Clone, Debug)]
struct Peer {
    beat: Beat,
    heard: MonotonicNs,
    /// Since when it has said that it does not hear this host.
    deaf_since: Option<MonotonicNs>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct StandbyMachine {
    rank: Rank,
    /// Silence of this length means that a host is gone.
    gone_after: Duration,
    /// Hosts that are configured.
    expected: usize,
    mode: Mode,
    peers: BTreeMap<String, Peer>,
    /// When this host began to listen.
    started: MonotonicNs,
    latest_tick: MonotonicNs,
    fit: bool,
    /// Until then others go first.
    handed_over_until: Option<MonotonicNs>,
    /// A peer was active beside this host.
    rival: bool,
}

impl StandbyMachine {
    /// A machine that begins to listen at `now`, for `expected` other hosts.
    #[must_use]
    pub const fn new(rank: Rank, gone_after: Duration, expected: usize, now: MonotonicNs) -> Self {
        Self {
            rank,
            gone_after,
            expected,
            mode: Mode::Undecided,
            peers: BTreeMap::new(),
            started: now,
            latest_tick: now,
            fit: true,
            handed_over_until: None,
            rival: false,
        }
    }

    /// Where this host stands.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What this host says of itself now.
    #[must_use]
    pub fn beat(&self, now: MonotonicNs) -> Beat {
        Beat {
            mode: self.mode,
            priority: self.rank.priority,
            candidate: self.fit && !self.stands_back(now),
            hears_active: self.best_active(now),
        }
    }

    /// Until when this host may be seen to have the addresses, if its beat goes out now: others take over no earlier.
    #[must_use]
    pub fn seen_until(&self, now: MonotonicNs) -> MonotonicNs {
        if self.mode == Mode::Active { now + self.gone_after } else { MonotonicNs(0) }
    }

    /// Whether the host is heard.
    #[must_use]
    pub fn hears(&self, peer: &str, now: MonotonicNs) -> bool {
        self.peers.get(peer).is_some_and(|peer| self.is_live(peer, now))
    }

    /// The active host that is heard.
    #[must_use]
    pub fn active_peer(&self, now: MonotonicNs) -> Option<&str> {
        let active = self.live(now).find(|(_, peer)| peer.beat.mode == Mode::Active);
        active.map(|(name, _)| name)
    }

    fn best_active(&self, now: MonotonicNs) -> Option<Rank> {
        let active = self.live(now).filter(|(_, peer)| peer.beat.mode == Mode::Active);
        active.map(|(name, peer)| Rank { priority: peer.beat.priority, name: name.to_owned() }).min()
    }

    /// Time alone has passed. Called at every beat at least, before anything that has arrived is given to
    /// [`StandbyMachine::observe`].
    pub fn tick(&mut self, now: MonotonicNs) -> StandbyActions {
        let was_away = since(self.latest_tick, now) >= self.gone_after;
        self.latest_tick = now;
        if was_away {
            self.peers.clear();
            self.started = now;
            self.rival = false;
            if self.mode != Mode::Undecided {
                self.mode = Mode::Undecided;
                let changed = Some((Mode::Undecided, Why::Stalled));
                return StandbyActions { changed, correct_caches: false, was_away };
            }
        }
        StandbyActions { was_away, ..self.decide(now) }
    }

    /// When [`StandbyMachine::tick`] is to be called next, if not for a beat before: a peer that falls silent is gone then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicNs> {
        self.peers.values().map(|peer| peer.heard + self.gone_after).filter(|gone| *gone > self.latest_tick).min()
    }

    /// Takes one fact.
    pub fn observe(&mut self, now: MonotonicNs, fact: StandbyFact) -> StandbyActions {
        match fact {
            StandbyFact::Heard { peer, beat, hears_us } => {
                let before = self.peers.get(&peer).and_then(|peer| peer.deaf_since);
                let deaf_since = if hears_us { None } else { before.or(Some(now)) };
                self.peers.insert(peer, Peer { beat, heard: now, deaf_since });
            }
            StandbyFact::Fit(fit) => {
                if fit && !self.fit {
                    // It may have heard nobody for want of a link: it listens first.
                    self.started = now;
                }
                self.fit = fit;
            }
            StandbyFact::Retires => self.handed_over_until = Some(MonotonicNs(u64::MAX)),
        }
        self.decide(now)
    }

    /// Gives the addresses to the best of the others (H-8).
    pub fn hand_over(&mut self, now: MonotonicNs) -> Result<StandbyActions, NoHandOver> {
        if self.mode != Mode::Active {
            return Err(NoHandOver::NotActive);
        }
        if !self.live(now).any(|(_, peer)| peer.beat.candidate) {
            return Err(NoHandOver::Nobody);
        }
        // Long enough for the others, short enough not to leave the addresses to nobody; then it listens as long again as a
        // take-over takes.
        self.handed_over_until = Some(now + self.gone_after * 2);
        Ok(self.decide(now))
    }

    fn decide(&mut self, now: MonotonicNs) -> StandbyActions {
        let active = self.active_peer(now).is_some();
        let next = if self.mode == Mode::Active { self.stay(now) } else { self.take(now, active) };
        let changed = next.filter(|(mode, _)| *mode != self.mode);
        if let Some((mode, _)) = changed {
            self.mode = mode;
        }
        let correct_caches = self.mode == Mode::Active && self.rival && !active;
        self.rival = self.mode == Mode::Active && active;
        StandbyActions { changed, correct_caches, was_away: false }
    }

    /// An active host: is there a reason not to be?
    fn stay(&self, now: MonotonicNs) -> Option<(Mode, Why)> {
        if !self.fit {
            return Some((Mode::Undecided, Why::Unfit));
        }
        if self.stands_back(now) {
            return Some((Mode::Standby, Why::HandedOver));
        }
        for (name, peer) in self.live(now).filter(|(_, peer)| peer.beat.mode == Mode::Active) {
            if is_better(peer.beat.priority, name, &self.rank) {
                return Some((Mode::Standby, Why::Yielded));
            }
            // It cannot know that it should yield.
            if peer.deaf_since.is_some_and(|deaf| since(deaf, now) >= self.gone_after) {
                return Some((Mode::Standby, Why::NotHeard));
            }
        }
        let better = |peer: &Peer| peer.beat.hears_active.as_ref().is_some_and(|active| *active < self.rank);
        self.live(now).any(|(_, peer)| better(peer)).then_some((Mode::Standby, Why::Yielded))
    }

    /// A host that is not active: should it be?
    fn take(&self, now: MonotonicNs, active: bool) -> Option<(Mode, Why)> {
        let other = |peer: &Peer| peer.beat.hears_active.as_ref().is_some_and(|active| active.name != self.rank.name);
        if active || self.live(now).any(|(_, peer)| other(peer)) {
            return Some((Mode::Standby, Why::OtherActive));
        }
        let all_heard = self.live(now).count() >= self.expected;
        let waited = since(self.started, now) >= self.gone_after * 2;
        let better =
            self.live(now).any(|(name, peer)| peer.beat.candidate && is_better(peer.beat.priority, name, &self.rank));
        // Whoever stood back says first that it may be counted on again: another may have taken over just before it heard so.
        let listened = self.handed_over_until.is_none_or(|until| since(until, now) >= self.gone_after);
        let able = self.fit && !self.stands_back(now) && listened;
        (able && (all_heard || waited) && !better).then_some((Mode::Active, Why::NobodyActive))
    }

    fn stands_back(&self, now: MonotonicNs) -> bool {
        self.handed_over_until.is_some_and(|until| now < until)
    }

    fn live(&self, now: MonotonicNs) -> impl Iterator<Item = (&str, &Peer)> {
        self.peers.iter().filter(move |(_, peer)| self.is_live(peer, now)).map(|(name, peer)| (name.as_str(), peer))
    }

    fn is_live(&self, peer: &Peer, now: MonotonicNs) -> bool {
        since(peer.heard, now) < self.gone_after
    }
}

fn is_better(priority: u64, name: &str, than: &Rank) -> bool {
    (priority, name) < (than.priority, than.name.as_str())
}

const fn since(earlier: MonotonicNs, now: MonotonicNs) -> Duration {
    Duration::from_nanos(now.0.saturating_sub(earlier.0))
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
