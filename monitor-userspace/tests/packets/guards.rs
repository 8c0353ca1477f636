//! Guarded ports: what is held, what passes, what is counted.

use monitor_common::{Counter, DEAD_AFTER_NS, EventKind, Evidence, Flow, GuardCounts, GuardFlags, GuardOp, GuardRule};
use monitor_core::{config::Watch, domain::MonotonicNs, guard::frame};
use ringback::{
    clock::Now as _,
    kernel::{Events, GuardReport, Guards, Kernel, TrialProgram},
};

use crate::{
    frame::{ACK, FIN, RST, SYN, Tcp},
    watch,
};

const DROP: u32 = 1;
const PASS: u32 = 2;
const GUARDED: u16 = 8080;
const ISN: u32 = 77;
const ENDS: [(&str, &str); 2] = [("10.0.1.5", "10.0.2.9"), ("fd00:1::5", "fd00::9")];

/// The programs with one guard, and a daemon that lives.
struct Gate {
    kernel: Kernel,
    events: Events,
    guards: Guards,
}

fn rule(flags: u32) -> GuardRule {
    GuardRule { hold_ns: 60_000_000_000, good_until_ns: 0, max_held: 3, flags: flags | GuardFlags::LOOPBACK }
}

impl Gate {
    fn new(flags: u32) -> Self {
        Self::with(rule(flags), &watch())
    }

    fn with(rule: GuardRule, watch: &Watch) -> Self {
        let (kernel, events, mut guards) =
            Kernel::detached_with_guards(watch, &[TrialProgram::Ingress, TrialProgram::Egress]).unwrap();
        guards.guard(0, GUARDED, rule).unwrap();
        let gate = Self { kernel, events, guards };
        gate.live()
    }

    fn live(mut self) -> Self {
        // Test runs may be slow: it lives longer than a daemon would.
        self.guards.beat(MonotonicNs::now().0 + 60_000_000_000).unwrap();
        self
    }

    fn arrives(&self, tcp: &Tcp) -> u32 {
        self.kernel.trial(TrialProgram::Ingress, &tcp.bytes(), 1).unwrap().verdict
    }

    fn leaves(&self, tcp: &Tcp) {
        assert_eq!(self.kernel.trial(TrialProgram::Egress, &tcp.bytes(), 1).unwrap().verdict, u32::MAX);
    }

    fn counts(&self) -> GuardCounts {
        self.guards.counts(0).unwrap()
    }

    fn say(&self, syn: &Tcp, op: u32) -> bool {
        self.guards.request(flow(syn), 0, syn.seq, op).unwrap()
    }

    /// The rest of the handshake of a SYN that has passed.
    fn shake_hands(&self, syn: &Tcp) {
        self.leaves(&syn.answer(SYN | ACK));
        assert_eq!(self.arrives(&segment(syn, ACK)), PASS);
    }

    fn count(&self, counter: Counter) -> u64 {
        self.kernel.counters().unwrap().into_iter().find(|(other, _)| *other == counter).unwrap().1
    }
}

fn flow(syn: &Tcp) -> Flow {
    frame::flow(&syn.bytes()).unwrap().0
}

fn syn(ends: (&str, &str), port: u16) -> Tcp {
    Tcp::syn(ends.0, port, ends.1, GUARDED, 9)
}

/// What the client sends once it has the SYN/ACK.
fn segment(syn: &Tcp, flags: u8) -> Tcp {
    Tcp { seq: syn.seq.wrapping_add(1), ack: ISN + 1, flags, ..syn.clone() }
}

// proves: D-3
#[tokio::test]
async fn a_syn_is_held_once_and_the_whole_frame_is_handed_over() {
    for ends in ENDS {
        for tags in [vec![], vec![0x8100], vec![0x88a8, 0x8100]] {
            let mut gate = Gate::new(0);
            let syn = Tcp { tags, payload: 1300, ..syn(ends, 4000) };
            assert_eq!(gate.arrives(&syn), DROP);
            let reports = gate.guards.take_reports();
            assert!(matches!(&reports[..], [GuardReport::Held(held)] if held.frame == syn.bytes()), "{reports:?}");
            assert_eq!(gate.guards.held()[0].0, flow(&syn));
            // The client repeats it.
            assert_eq!(gate.arrives(&syn), DROP);
            assert_eq!((gate.guards.take_reports(), gate.counts().held), (vec![], 1));
            // For the rest of Ringback it is an attempt as any other.
            assert_eq!(gate.count(Counter::Attempts), 1);
            assert!(gate.say(&syn, GuardOp::ADMIT) && !gate.say(&syn, GuardOp::ADMIT));
            assert_eq!((gate.arrives(&syn), gate.counts().held, gate.guards.held().len()), (PASS, 0, 0));
        }
    }
}

// proves: D-1
#[tokio::test]
async fn other_ports_and_a_kernel_without_guards_are_not_touched() {
    let mut gate = Gate::new(0);
    for (from, to) in [(4000, GUARDED + 1), (GUARDED, 4000)] {
        assert_eq!(gate.arrives(&Tcp::syn("10.0.1.5", from, "10.0.2.9", to, 9)), PASS);
    }
    assert_eq!((gate.guards.take_reports(), gate.counts()), (vec![], GuardCounts::default()));
    let (kernel, _events) = Kernel::detached(&watch(), &[TrialProgram::Ingress, TrialProgram::Egress]).unwrap();
    assert_eq!(kernel.trial(TrialProgram::Ingress, &syn(ENDS[0], 4000).bytes(), 1).unwrap().verdict, PASS);
}

// proves: D-3
#[tokio::test]
async fn without_a_daemon_the_kernel_follows_the_rule() {
    for ends in ENDS {
        for beat in [0, MonotonicNs::now().0 - DEAD_AFTER_NS] {
            for (flags, verdict) in [(0, PASS), (GuardFlags::CLOSED, DROP)] {
                let mut gate = Gate::new(flags);
                let held = syn(ends, 4000);
                assert_eq!(gate.arrives(&held), DROP);
                gate.guards.beat(beat).unwrap();
                for syn in [&held, &syn(ends, 4001)] {
                    assert_eq!(gate.arrives(syn), verdict);
                }
                let counts = gate.counts();
                assert_eq!((counts.held, counts.unchecked + counts.closed), (0, 2), "{counts:?}");
                assert_eq!(counts.closed, if verdict == DROP { 2 } else { 0 });
                // A late word finds nothing to decide.
                assert!(!gate.say(&held, GuardOp::ADMIT));
                // What passed unchecked is no healthy connection.
                if verdict == PASS {
                    gate.shake_hands(&held);
                    assert_eq!(gate.counts().open, 0);
                }
            }
        }
    }
}

// proves: D-3
#[tokio::test]
async fn a_daemon_that_does_not_decide_in_time_has_the_repetition_decided_by_the_rule() {
    for (flags, verdict) in [(0, PASS), (GuardFlags::CLOSED, DROP)] {
        let gate = Gate::with(GuardRule { hold_ns: 20_000_000, ..rule(flags) }, &watch());
        let syn = syn(ENDS[0], 4000);
        assert_eq!(gate.arrives(&syn), DROP);
        std::thread::sleep(std::time::Duration::from_millis(25));
        assert_eq!((gate.arrives(&syn), gate.counts().held), (verdict, 0));
    }
}

// proves: D-3
#[tokio::test]
async fn no_more_are_held_than_may_be() {
    let mut gate = Gate::new(0);
    for port in 0..10 {
        assert_eq!(gate.arrives(&syn(ENDS[usize::from(port % 2)], 4000 + port)), DROP);
    }
    assert_eq!((gate.guards.take_reports().len(), gate.guards.held().len()), (3, 3));
    assert_eq!((gate.counts().held, gate.counts().overflow), (3, 7));
    assert!(gate.say(&syn(ENDS[0], 4000), GuardOp::FORGET));
    assert_eq!(gate.arrives(&syn(ENDS[0], 4008)), DROP);
    assert_eq!((gate.guards.take_reports().len(), gate.counts().held), (1, 3));
}

// proves: D-4 D-5
#[tokio::test]
async fn while_a_checked_connection_is_open_syns_pass_and_after_its_end_they_do_not() {
    for ends in ENDS {
        for (closer, flags) in [("client", FIN | ACK), ("server", FIN | ACK), ("client", RST), ("server", RST | ACK)] {
            let mut gate = Gate::new(0);
            let first = syn(ends, 4000);
            assert_eq!(gate.arrives(&first), DROP);
            gate.say(&first, GuardOp::ADMIT);
            // Half open is not open, and an ACK that nobody answered the SYN for opens nothing.
            assert_eq!(gate.arrives(&segment(&first, ACK)), PASS);
            gate.leaves(&first.answer(SYN | ACK));
            for wrong in [Tcp { ack: ISN, ..segment(&first, ACK) }, Tcp { seq: 9, ..segment(&first, ACK) }] {
                assert_eq!(gate.arrives(&wrong), PASS);
            }
            assert_eq!(gate.counts().open, 0);
            gate.shake_hands(&first);
            gate.shake_hands(&first);
            assert_eq!(gate.counts().open, 1);
            gate.guards.take_reports();
            let second = syn(ends, 4001);
            assert_eq!(gate.arrives(&second), PASS);
            gate.shake_hands(&second);
            assert_eq!((gate.counts().open, gate.guards.take_reports()), (2, vec![]));
            for (left, open) in [(1, &first), (0, &second)] {
                for _ in 0..2 {
                    if closer == "client" {
                        assert_eq!(gate.arrives(&segment(open, flags)), PASS);
                    } else {
                        gate.leaves(&open.answer(flags));
                    }
                    assert_eq!(gate.counts().open, left);
                }
            }
            assert_eq!(gate.arrives(&syn(ends, 4002)), DROP);
            assert_eq!((gate.guards.open().len(), gate.guards.take_reports().len()), (0, 1));
        }
    }
}

// proves: D-4
#[tokio::test]
async fn a_result_that_still_counts_lets_syns_pass() {
    let mut gate = Gate::new(0);
    let good_until_ns = MonotonicNs::now().0 + 60_000_000_000;
    gate.guards.set_rule(0, GuardRule { good_until_ns, ..rule(0) }).unwrap();
    let syn = syn(ENDS[0], 4000);
    assert_eq!(gate.arrives(&syn), PASS);
    gate.shake_hands(&syn);
    assert_eq!((gate.counts().open, gate.guards.take_reports()), (1, vec![]));
}

// proves: D-2
#[tokio::test]
async fn after_the_handshake_the_daemon_is_told_once_and_its_word_counts() {
    for ends in ENDS {
        let mut gate = Gate::new(GuardFlags::AFTER);
        let (first, second) = (syn(ends, 4000), syn(ends, 4001));
        assert_eq!(gate.arrives(&first), PASS);
        assert_eq!(gate.guards.take_reports(), []);
        gate.shake_hands(&first);
        gate.shake_hands(&first);
        assert_eq!(gate.guards.take_reports(), [GuardReport::Established { guard: 0, flow: flow(&first) }]);
        assert_eq!(gate.counts().open, 0);
        assert!(gate.say(&first, GuardOp::HEALTHY) && gate.say(&first, GuardOp::HEALTHY));
        assert_eq!(gate.counts().open, 1);
        assert_eq!(gate.arrives(&second), PASS);
        gate.shake_hands(&second);
        assert_eq!((gate.guards.take_reports(), gate.counts().open), (vec![], 2));
        gate.say(&first, GuardOp::OVER);
        gate.say(&first, GuardOp::OVER);
        assert_eq!(gate.counts().open, 1);
    }
}

// proves: D-2
#[tokio::test]
async fn answers_of_a_sick_after_guard_are_no_evidence_while_the_daemon_lives() {
    for (flags, alive, answers) in [
        (GuardFlags::AFTER | GuardFlags::SICK, true, 0),
        (GuardFlags::AFTER | GuardFlags::SICK, false, 1),
        (GuardFlags::AFTER, true, 1),
    ] {
        let mut gate = Gate::new(flags);
        if !alive {
            gate.guards.beat(0).unwrap();
        }
        let syn = syn(ENDS[0], 4000);
        assert_eq!(gate.arrives(&syn), PASS);
        gate.leaves(&syn.answer(SYN | ACK));
        assert_eq!(gate.count(Counter::Answers), answers);
    }
}

// proves: D-3 F-6
#[tokio::test]
async fn the_refusal_of_a_guard_is_a_failed_attempt_of_a_service_that_never_answered() {
    for ends in ENDS {
        let mut gate = Gate::new(0);
        let syn = syn(ends, 4000);
        assert_eq!(gate.arrives(&syn), DROP);
        assert!(gate.say(&syn, GuardOp::REFUSE));
        let reset = frame::reset(&syn.bytes()).unwrap();
        assert_eq!(gate.kernel.trial(TrialProgram::Egress, &reset, 1).unwrap().verdict, u32::MAX);
        let events: Vec<_> = gate.events.take(9).into_iter().map(|event| (event.kind, event.evidence)).collect();
        assert_eq!(events, [(EventKind::Failed, Evidence::Refused)]);
        // The next attempt is held again.
        assert_eq!(gate.arrives(&Tcp { sport: 4001, ..syn }), DROP);
    }
}
