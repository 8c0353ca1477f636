//! The status file of one watched system (O-2): signals and judgements in, its state out. Pure.
//!
//! | state | start | A | B | end | awaiting | entered by |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | initial | 0 | – | – | 0 | 0 | nothing was heard yet |
//! | start | 1 | – | – | 0 | 0 | a start signal |
//! | running | 1 | latest | previous | 0 | 0 | a running signal after a start |
//! | end | 0 | – | – | 1 | 0 | an end signal |
//! | down | 0 | – | – | 0 | 1 | a judgement that finds A = B |
//! | recovered | 1 | – | – | 0 | 0 | a start signal while recovery is awaited |
//!
//! A judgement that finds A and B different makes B = A, so that the next one needs a newer signal. Running signals of a
//! system whose start was not seen do not count.

use serde::{Deserialize, Serialize};

use crate::heartbeat::wire::Signal;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the module has the table")]
pub enum State {
    #[default]
    Initial,
    Start,
    Running,
    End,
    Down,
    Recovered,
}

impl State {
    /// Whether the system is held for up: it has started, and neither ended nor gone down since.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Start | Self::Running | Self::Recovered)
    }

    /// The word of logs and tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Start => "start",
            Self::Running => "running",
            Self::End => "end",
            Self::Down => "down",
            Self::Recovered => "recovered",
        }
    }
}

/// What people are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerNotice {
    /// The system is down; once per outage.
    Down,
    /// It runs again; once per outage, and not before it really runs.
    Recovered,
}

/// The flags as the rows have them, and the state that they mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusFile {
    /// What the flags mean; start and recovered have the same.
    pub state: State,
    /// Start flag.
    pub start: bool,
    /// Latest running signal.
    pub a: Option<u64>,
    /// The one before, or the latest at the last judgement.
    pub b: Option<u64>,
    /// End flag.
    pub end: bool,
    /// Awaiting-recovery flag.
    pub awaiting: bool,
    /// A start was seen at an earlier judgement and no running signal since.
    start_judged: bool,
    /// People were told that it is down, and not yet that it is back.
    told_down: bool,
}

impl StatusFile {
    /// A signal has come. Says what to tell, and whether a start is to be answered by one (O-5).
    pub fn signal(&mut self, signal: Signal) -> (Option<PeerNotice>, bool) {
        match signal {
            Signal::Start => {
                let known = matches!(self.state, State::Start | State::Recovered);
                let state = match self.state {
                    State::Start | State::Recovered => self.state,
                    _ if self.awaiting => State::Recovered,
                    _ => State::Start,
                };
                let start_judged = known && self.start_judged;
                *self = Self { state, start: true, start_judged, told_down: self.told_down, ..Self::default() };
                (None, !known)
            }
            // It came by another way already.
            Signal::Running(value) if self.state == State::Running && self.a == Some(value) => (None, false),
            Signal::Running(value) if self.state.is_up() => {
                self.state = State::Running;
                (self.b, self.a, self.start_judged) = (self.a, Some(value), false);
                (std::mem::take(&mut self.told_down).then_some(PeerNotice::Recovered), false)
            }
            Signal::Running(_) => (None, false),
            // Of one that is down, recovery is still awaited.
            Signal::End => {
                let (awaiting, told_down) = (self.awaiting, self.told_down);
                *self = Self { state: State::End, end: true, awaiting, told_down, ..Self::default() };
                (None, false)
            }
        }
    }

    /// Every T1.
    pub fn judge(&mut self) -> Option<PeerNotice> {
        let down = match self.state {
            State::Running => self.a == self.b,
            State::Start | State::Recovered => std::mem::replace(&mut self.start_judged, true),
            State::Initial | State::End | State::Down => return None,
        };
        self.b = self.a;
        if !down {
            return None;
        }
        let told = self.told_down;
        *self = Self { state: State::Down, awaiting: true, told_down: true, ..Self::default() };
        (!told).then_some(PeerNotice::Down)
    }

    /// The judge itself was away (stopped, restarted): what has not come meanwhile means nothing.
    pub const fn forget_previous(&mut self) {
        self.b = None;
        self.start_judged = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// start, A set, B set, end, awaiting.
    const fn flags(file: &StatusFile) -> (bool, bool, bool, bool, bool) {
        (file.start, file.a.is_some(), file.b.is_some(), file.end, file.awaiting)
    }

    // proves: O-2b O-3
    #[test]
    fn the_six_states_and_their_flags() {
        let mut file = StatusFile::default();
        assert_eq!((file.state, flags(&file)), (State::Initial, (false, false, false, false, false)));
        assert_eq!(file.signal(Signal::Start), (None, true));
        assert_eq!((file.state, flags(&file)), (State::Start, (true, false, false, false, false)));
        file.signal(Signal::Running(1));
        file.signal(Signal::Running(2));
        assert_eq!((file.state, file.a, file.b), (State::Running, Some(2), Some(1)));
        assert_eq!(file.judge(), None);
        file.signal(Signal::Running(3));
        assert_eq!(file.judge(), None);
        assert_eq!(file.judge(), Some(PeerNotice::Down));
        assert_eq!((file.state, flags(&file)), (State::Down, (false, false, false, false, true)));
        assert_eq!(file.signal(Signal::Start), (None, true));
        assert_eq!((file.state, flags(&file)), (State::Recovered, (true, false, false, false, false)));
        assert_eq!(file.signal(Signal::Running(4)), (Some(PeerNotice::Recovered), false));
        assert_eq!(file.state, State::Running);
        file.signal(Signal::End);
        assert_eq!((file.state, flags(&file)), (State::End, (false, false, false, true, false)));
    }

    // proves: O-3
    #[test]
    fn a_signal_that_comes_by_two_ways_counts_once() {
        let mut file = StatusFile::default();
        file.signal(Signal::Start);
        for value in 1..=5 {
            for _way in 0..2 {
                file.signal(Signal::Running(value));
            }
            assert_eq!(file.judge(), None);
        }
        file.signal(Signal::Running(5));
        assert_eq!(file.judge(), Some(PeerNotice::Down), "the one of before says nothing new");
    }

    // proves: O-4c
    #[test]
    fn one_that_ended_in_order_is_not_judged() {
        let mut file = StatusFile::default();
        for signal in [Signal::Start, Signal::Running(1), Signal::End] {
            file.signal(signal);
        }
        for _ in 0..5 {
            assert_eq!(file.judge(), None);
        }
        assert_eq!(file.state, State::End);
    }

    // proves: O-5a O-5b
    #[test]
    fn a_start_is_answered_unless_it_was_the_answer_and_running_counts_only_after_it() {
        let (mut a, mut b) = (StatusFile::default(), StatusFile::default());
        assert_eq!(b.signal(Signal::Running(1)), (None, false));
        assert_eq!(b.state, State::Initial);
        assert!(b.signal(Signal::Start).1);
        assert!(a.signal(Signal::Start).1);
        assert!(!b.signal(Signal::Start).1, "the two would answer each other for ever");
    }

    #[test]
    fn one_that_starts_and_never_runs_is_down_and_told_once() {
        let mut file = StatusFile::default();
        let mut told = Vec::new();
        for _ in 0..4 {
            told.extend(file.signal(Signal::Start).0);
            told.extend(file.judge());
            told.extend(file.judge());
            assert_eq!(file.state, State::Down);
        }
        told.extend(file.signal(Signal::Start).0);
        told.extend(file.signal(Signal::Running(1)).0);
        assert_eq!(told, [PeerNotice::Down, PeerNotice::Recovered]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Signal(Signal),
        Judge,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Signal(Signal::Start)),
            (0..3_u64).prop_map(|value| Step::Signal(Signal::Running(value))),
            Just(Step::Signal(Signal::End)),
            Just(Step::Judge),
        ]
    }

    /// The table of the rows, without values.
    fn next(state: State, awaiting: bool, step: Step, alive: bool) -> State {
        match (step, state) {
            (Step::Signal(Signal::Start), State::Start | State::Recovered) => state,
            (Step::Signal(Signal::Start), _) if awaiting => State::Recovered,
            (Step::Signal(Signal::Start), _) => State::Start,
            (Step::Signal(Signal::Running(_)), State::Start | State::Recovered | State::Running) => State::Running,
            (Step::Signal(Signal::Running(_)), _) => state,
            (Step::Signal(Signal::End), _) => State::End,
            (Step::Judge, State::Start | State::Recovered | State::Running) if !alive => State::Down,
            (Step::Judge, _) => state,
        }
    }

    proptest! {
        // proves: O-2b O-4a
        #[test]
        fn every_walk_follows_the_table_and_tells_in_turns(steps in prop::collection::vec(step(), 0..200)) {
            let mut file = StatusFile::default();
            let mut latest = PeerNotice::Recovered;
            for step in steps {
                let alive = match file.state {
                    State::Running => file.a != file.b,
                    _ => !file.start_judged,
                };
                let expected = next(file.state, file.awaiting, step, alive);
                let notice = match step {
                    Step::Signal(signal) => file.signal(signal).0,
                    Step::Judge => file.judge(),
                };
                prop_assert_eq!(file.state, expected);
                if let Some(notice) = notice {
                    prop_assert_ne!(notice, latest);
                    latest = notice;
                }
                let up = file.state.is_up();
                prop_assert_eq!((file.start, file.end), (up, file.state == State::End));
                prop_assert!(file.state != State::Down || file.awaiting);
                prop_assert!(up || (file.a, file.b) == (None, None));
            }
        }
    }
}
