//! One guard's decisions, pure: facts and the time in, actions out. It never reads a clock and never waits.
//!
//! Invariants (see `proptests`): at most one check runs at a time; at most as many requests wait as the rules allow; each
//! request is answered exactly once; every request that waits when a check ends is answered by it.

use std::{collections::VecDeque, time::Duration};

use crate::domain::MonotonicNs;

/// What the operator wants of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardRules {
    /// Whether a request that was not decided in time passes.
    pub fail_open: bool,
    /// How long a request waits.
    pub hold: Duration,
    /// How long a result counts; zero: not at all.
    pub keep: Duration,
    /// How many requests wait at most.
    pub max_held: usize,
    /// First pause between checks while sick.
    pub probe: Duration,
    /// The longest.
    pub probe_max: Duration,
}

/// What a guard is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardFact {
    /// A request waits, under this name.
    Held(u64),
    /// A connection that nobody has checked is established.
    Established,
    /// The check of that number has ended.
    Checked(u64, GuardOutcome),
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardOutcome {
    /// All is well.
    Healthy,
    /// Something is not.
    Sick,
}

/// What a guard wants done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run all checks, and say what they found as [`GuardFact::Checked`] of this number.
    Check(u64),
    /// Let the request pass: it was checked.
    Admit(u64),
    /// Let the request pass unchecked.
    Pass(u64),
    /// Refuse the request.
    Refuse(u64),
    /// Drop the request: too many wait. It comes again.
    Forget(u64),
    /// The established connections that were not checked are healthy, or are to be ended.
    Settle(GuardOutcome),
    /// It is sick from now on.
    Sick,
    /// It was sick and is not any more.
    Recovered,
    /// The last result counts until then; requests need not be reported before.
    GoodUntil(MonotonicNs),
}

/// What is known of the server's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing yet.
    Unknown,
    /// The last check was passed then.
    Healthy(MonotonicNs),
    /// Checks fail since then; the latest ended at `latest`, the next one starts at `next`.
    Sick {
        /// Since when.
        since: MonotonicNs,
        /// When the latest check ended.
        latest: MonotonicNs,
        /// When the next one starts by itself.
        next: MonotonicNs,
        /// The pause before the one after that.
        pause: Duration,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct GuardMachine {
    rules: GuardRules,
    health: Health,
    /// The check that runs.
    running: Option<u64>,
    next_check: u64,
    /// Requests that wait, the oldest first.
    held: VecDeque<(u64, MonotonicNs)>,
}

fn after(at: MonotonicNs, by: Duration) -> MonotonicNs {
    MonotonicNs(at.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

impl GuardMachine {
    /// A guard that knows nothing yet.
    #[must_use]
    pub fn new(rules: GuardRules) -> Self {
        Self { rules, health: Health::Unknown, running: None, next_check: 0, held: VecDeque::new() }
    }

    /// A guard whose service has an outage from before a restart: it is checked at once, and on until it is well.
    #[must_use]
    pub fn new_sick(rules: GuardRules, now: MonotonicNs) -> Self {
        let health = Health::Sick { since: now, latest: MonotonicNs(0), next: now, pause: rules.probe };
        Self { health, ..Self::new(rules) }
    }

    /// What is known.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.health
    }

    /// How many requests wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether a check runs.
    #[must_use]
    pub const fn is_checking(&self) -> bool {
        self.running.is_some()
    }

    /// Takes one fact.
    pub fn observe(&mut self, now: MonotonicNs, fact: GuardFact) -> Vec<Action> {
        let mut actions = Vec::new();
        match fact {
            GuardFact::Held(request) => self.request(now, request, &mut actions),
            GuardFact::Established => match self.kept(now) {
                Some(outcome) => actions.push(Action::Settle(outcome)),
                None => self.check(&mut actions),
            },
            GuardFact::Checked(number, outcome) if self.running == Some(number) => {
                self.running = None;
                self.checked(now, outcome, &mut actions);
            }
            // A check that nobody waits for any more.
            GuardFact::Checked(..) => {}
        }
        actions
    }

    /// Does what is due.
    pub fn tick(&mut self, now: MonotonicNs) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some((request, since)) = self.held.front().copied()
            && after(since, self.rules.hold) <= now
        {
            self.held.pop_front();
            actions.push(if self.rules.fail_open { Action::Pass(request) } else { Action::Refuse(request) });
        }
        if let Health::Sick { next, .. } = self.health
            && next <= now
        {
            self.check(&mut actions);
        }
        actions
    }

    /// When [`GuardMachine::tick`] is to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicNs> {
        let held = self.held.front().map(|(_, since)| after(*since, self.rules.hold));
        let probe = match self.health {
            // A check that runs sets the next time itself.
            Health::Sick { next, .. } if self.running.is_none() => Some(next),
            _ => None,
        };
        [held, probe].into_iter().flatten().min()
    }

    /// The daemon stops: nothing waits on.
    pub fn stop(&mut self) -> Vec<Action> {
        let open = self.rules.fail_open;
        self.held
            .drain(..)
            .map(|(request, _)| if open { Action::Pass(request) } else { Action::Refuse(request) })
            .collect()
    }

    /// The last result, while it counts.
    fn kept(&self, now: MonotonicNs) -> Option<GuardOutcome> {
        match self.health {
            Health::Healthy(at) if after(at, self.rules.keep) > now => Some(GuardOutcome::Healthy),
            Health::Sick { latest, .. } if latest.0 != 0 && after(latest, self.rules.keep) > now => {
                Some(GuardOutcome::Sick)
            }
            _ => None,
        }
    }

    fn request(&mut self, now: MonotonicNs, request: u64, actions: &mut Vec<Action>) {
        match self.kept(now) {
            Some(GuardOutcome::Healthy) => actions.push(Action::Admit(request)),
            Some(GuardOutcome::Sick) => actions.push(Action::Refuse(request)),
            None if self.held.len() >= self.rules.max_held => actions.push(Action::Forget(request)),
            None => {
                self.held.push_back((request, now));
                self.check(actions);
            }
        }
    }

    /// Starts a check unless one runs: all who come meanwhile share it.
    fn check(&mut self, actions: &mut Vec<Action>) {
        if self.running.is_none() {
            self.running = Some(self.next_check);
            actions.push(Action::Check(self.next_check));
            self.next_check += 1;
        }
    }

    fn checked(&mut self, now: MonotonicNs, outcome: GuardOutcome, actions: &mut Vec<Action>) {
        match outcome {
            GuardOutcome::Healthy => {
                let was_sick = matches!(self.health, Health::Sick { .. });
                self.health = Health::Healthy(now);
                if !self.rules.keep.is_zero() {
                    actions.push(Action::GoodUntil(after(now, self.rules.keep)));
                }
                actions.extend(self.held.drain(..).map(|(request, _)| Action::Admit(request)));
                actions.push(Action::Settle(outcome));
                if was_sick {
                    actions.push(Action::Recovered);
                }
            }
            GuardOutcome::Sick => {
                self.health = match self.health {
                    Health::Sick { since, next, pause, .. } if next <= now => {
                        let longer = (pause * 2).min(self.rules.probe_max);
                        Health::Sick { since, latest: now, next: after(now, pause), pause: longer }
                    }
                    // Checked because somebody asked: the next one by itself comes when it would have.
                    Health::Sick { since, next, pause, .. } => Health::Sick { since, latest: now, next, pause },
                    Health::Unknown | Health::Healthy(_) => {
                        actions.push(Action::Sick);
                        let pause = (self.rules.probe * 2).min(self.rules.probe_max);
                        Health::Sick { since: now, latest: now, next: after(now, self.rules.probe), pause }
                    }
                };
                actions.extend(self.held.drain(..).map(|(request, _)| Action::Refuse(request)));
                actions.push(Action::Settle(outcome));
            }
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
