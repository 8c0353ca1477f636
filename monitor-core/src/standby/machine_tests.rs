//! Single steps of the machine, and whole networks of machines with cut paths, stopped hosts and hand-overs.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const BEAT: u64 = 50;
const GONE: u64 = 150;
/// Longest time on the way.
const WAY: u64 = 4;

const fn ms(milliseconds: u64) -> MonotonicNs {
    MonotonicNs(milliseconds * 1_000_000)
}

fn machine(priority: u64, expected: usize) -> StandbyMachine {
    let rank = Rank { priority, name: format!("h{priority}") };
    StandbyMachine::new(rank, Duration::from_millis(GONE), expected, ms(0))
}

const fn beat(mode: Mode, priority: u64) -> Beat {
    Beat { mode, priority, candidate: true, hears_active: None }
}

fn heard(peer: &str, beat: Beat, hears_us: bool) -> StandbyFact {
    StandbyFact::Heard { peer: peer.to_owned(), beat, hears_us }
}

// proves: H-3a
#[test]
fn a_host_that_hears_nobody_becomes_active_after_a_while_and_not_before() {
    let mut machine = machine(1, 1);
    for now in (0..2 * GONE).step_by(10) {
        assert_eq!(machine.tick(ms(now)), StandbyActions::default(), "at {now} ms");
        assert_eq!(machine.mode(), Mode::Undecided);
    }
    assert_eq!(machine.tick(ms(2 * GONE)).changed, Some((Mode::Active, Why::NobodyActive)));
}

// proves: H-3a H-3b H-7
#[test]
fn of_undecided_hosts_the_better_one_becomes_active_as_soon_as_all_are_heard() {
    let (mut better, mut worse) = (machine(1, 2), machine(2, 2));
    assert_eq!(better.observe(ms(1), heard("h2", beat(Mode::Undecided, 2), true)), StandbyActions::default());
    let actions = better.observe(ms(2), heard("h3", beat(Mode::Undecided, 3), true));
    assert_eq!(actions.changed, Some((Mode::Active, Why::NobodyActive)));
    worse.observe(ms(1), heard("h1", beat(Mode::Undecided, 1), true));
    assert_eq!(worse.observe(ms(2), heard("h3", beat(Mode::Undecided, 3), true)), StandbyActions::default());
    let actions = worse.observe(ms(3), heard("h1", beat(Mode::Active, 1), true));
    assert_eq!(actions.changed, Some((Mode::Standby, Why::OtherActive)));
}

// proves: H-3a
#[test]
fn a_better_host_that_returns_does_not_disturb_the_active_one() {
    let mut returned = machine(1, 1);
    let actions = returned.observe(ms(1), heard("h2", beat(Mode::Active, 2), true));
    assert_eq!(actions.changed, Some((Mode::Standby, Why::OtherActive)));
    let mut active = machine(2, 1);
    active.observe(ms(1), heard("h1", Beat { candidate: false, ..beat(Mode::Undecided, 1) }, true));
    assert_eq!(active.mode(), Mode::Active);
    assert_eq!(active.observe(ms(2), heard("h1", beat(Mode::Undecided, 1), true)), StandbyActions::default());
}

// proves: H-7
#[test]
fn who_does_not_hear_the_active_host_leaves_it_alone_while_another_hears_it() {
    let mut best = machine(1, 2);
    let active = Rank { priority: 2, name: "h2".to_owned() };
    let witness = Beat { hears_active: Some(active), ..beat(Mode::Standby, 3) };
    for now in (0..1000).step_by(10) {
        best.tick(ms(now));
        best.observe(ms(now), heard("h3", witness.clone(), true));
        assert_ne!(best.mode(), Mode::Active, "at {now} ms");
    }
    let actions = best.observe(ms(1000), heard("h3", beat(Mode::Standby, 3), true));
    assert_eq!(actions.changed, Some((Mode::Active, Why::NobodyActive)));
}

// proves: H-8
#[test]
fn a_hand_over_needs_somebody_and_ends_when_nobody_takes_over() {
    let mut machine = machine(1, 1);
    assert_eq!(machine.hand_over(ms(0)), Err(NoHandOver::NotActive));
    machine.observe(ms(1), heard("h2", Beat { candidate: false, ..beat(Mode::Standby, 2) }, true));
    assert_eq!(machine.mode(), Mode::Active);
    assert_eq!(machine.hand_over(ms(2)), Err(NoHandOver::Nobody));
    machine.observe(ms(3), heard("h2", beat(Mode::Standby, 2), true));
    assert_eq!(machine.hand_over(ms(4)).unwrap().changed, Some((Mode::Standby, Why::HandedOver)));
    assert!(!machine.beat(ms(5)).candidate);
    for now in (10..4 + 3 * GONE).step_by(10) {
        machine.tick(ms(now));
        assert_eq!(machine.mode(), Mode::Standby, "at {now} ms");
    }
    machine.tick(ms(4 + 3 * GONE));
    assert_eq!(machine.mode(), Mode::Active, "the other one is gone too");
}

#[test]
fn an_active_host_that_is_not_heard_by_a_worse_active_one_gives_way_in_the_end() {
    let mut machine = machine(1, 1);
    machine.observe(ms(0), heard("h2", beat(Mode::Undecided, 2), true));
    for now in (10..10 + GONE).step_by(10) {
        machine.tick(ms(now));
        machine.observe(ms(now), heard("h2", beat(Mode::Active, 2), false));
        assert_eq!(machine.mode(), Mode::Active, "at {now} ms");
    }
    let actions = machine.observe(ms(10 + GONE), heard("h2", beat(Mode::Active, 2), false));
    assert_eq!(actions.changed, Some((Mode::Standby, Why::NotHeard)));
}

#[test]
fn a_peer_that_falls_silent_is_looked_at_when_it_is_gone() {
    let mut machine = machine(1, 2);
    assert_eq!(machine.next_deadline(), None);
    machine.observe(ms(5), heard("h2", beat(Mode::Undecided, 2), true));
    machine.observe(ms(9), heard("h3", beat(Mode::Undecided, 3), true));
    assert_eq!(machine.next_deadline(), Some(ms(5 + GONE)));
    machine.tick(ms(100));
    machine.tick(ms(5 + GONE));
    assert_eq!((machine.hears("h2", ms(5 + GONE)), machine.next_deadline()), (false, Some(ms(9 + GONE))));
    machine.tick(ms(9 + GONE));
    assert_eq!(machine.next_deadline(), None, "what is past is not waited for");
}

#[test]
fn caches_are_corrected_when_a_rival_has_given_way() {
    let mut machine = machine(1, 1);
    machine.observe(ms(0), heard("h2", beat(Mode::Undecided, 2), true));
    assert!(!machine.observe(ms(10), heard("h2", beat(Mode::Active, 2), true)).correct_caches);
    assert!(machine.observe(ms(12), heard("h2", beat(Mode::Standby, 2), true)).correct_caches);
    assert!(!machine.observe(ms(60), heard("h2", beat(Mode::Standby, 2), true)).correct_caches);
}

#[test]
fn without_a_link_nobody_is_active_and_the_other_is_let_in() {
    let mut machine = machine(1, 1);
    machine.observe(ms(0), heard("h2", beat(Mode::Undecided, 2), true));
    assert_eq!(machine.observe(ms(1), StandbyFact::Fit(false)).changed, Some((Mode::Undecided, Why::Unfit)));
    assert!(!machine.beat(ms(1)).candidate);
    assert_eq!(machine.seen_until(ms(1)), ms(0));
    // The link returns after a long time, in which nobody was heard.
    for now in (10..5000).step_by(50) {
        machine.tick(ms(now));
    }
    assert_eq!(machine.observe(ms(5000), StandbyFact::Fit(true)), StandbyActions::default());
    let actions = machine.observe(ms(5040), heard("h2", beat(Mode::Active, 2), true));
    assert_eq!(actions.changed, Some((Mode::Standby, Why::OtherActive)));
}

#[test]
fn who_has_stood_back_listens_before_it_takes_over_again() {
    let mut network = Network::new(&[0, 6, 21]);
    for now in 1..2000 {
        if now == 660 {
            network.apply(now, &Event::HandOver(0));
        }
        if now == 807 {
            network.apply(now, &Event::Stop(1));
        }
        network.step(now);
        assert!(network.owners(now).iter().filter(|host| **host != 1).count() <= 1, "at {now} ms");
    }
    assert_eq!(network.owners(1999).len(), 1);
}

#[derive(Clone, Debug)]
enum Event {
    Cut(usize, usize),
    Heal(usize, usize),
    Stop(usize),
    Continue(usize),
    HandOver(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let host = 0..4_usize;
    prop_oneof![
        3 => (host.clone(), host.clone()).prop_map(|(a, b)| Event::Cut(a, b)),
        3 => (host.clone(), host.clone()).prop_map(|(a, b)| Event::Heal(a, b)),
        2 => host.clone().prop_map(Event::Stop),
        2 => host.clone().prop_map(Event::Continue),
        1 => host.prop_map(Event::HandOver),
    ]
}

struct Host {
    machine: StandbyMachine,
    /// What the kernel holds: it counts also while the host is stopped.
    seen_until: MonotonicNs,
    running: bool,
    stopped_at: u64,
    phase: u64,
    inbox: Vec<(u64, usize, Beat, bool)>,
    said: Option<Beat>,
}

/// Hosts that exchange beats every [`BEAT`] ms, in steps of 1 ms.
struct Network {
    hosts: Vec<Host>,
    /// Since when each pair hears each other; `None`: cut.
    paths: Vec<Vec<Option<u64>>>,
    noise: u64,
}

impl Network {
    fn new(phases: &[u64]) -> Self {
        let count = phases.len();
        let host = |(index, phase): (usize, &u64)| Host {
            machine: machine(index as u64, count - 1),
            seen_until: ms(0),
            running: true,
            stopped_at: u64::MAX,
            phase: *phase,
            inbox: Vec::new(),
            said: None,
        };
        Self {
            hosts: phases.iter().enumerate().map(host).collect(),
            paths: vec![vec![Some(0); count]; count],
            noise: 1,
        }
    }

    /// Any number up to [`WAY`], from 1.
    fn way(&mut self) -> u64 {
        self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (self.noise >> 33) % WAY
    }

    fn apply(&mut self, now: u64, event: &Event) {
        let count = self.hosts.len();
        match *event {
            Event::Cut(a, b) if a < count && b < count && a != b => {
                (self.paths[a][b], self.paths[b][a]) = (None, None);
            }
            Event::Heal(a, b) if a < count && b < count && self.paths[a][b].is_none() => {
                (self.paths[a][b], self.paths[b][a]) = (Some(now), Some(now));
            }
            Event::Stop(host) if host < count && self.hosts[host].running => {
                self.hosts[host].running = false;
                self.hosts[host].stopped_at = now;
            }
            Event::Continue(host) if host < count && !self.hosts[host].running => {
                self.hosts[host].running = true;
                self.hosts[host].stopped_at = u64::MAX;
                // It has heard nothing meanwhile.
                for other in (0..count).filter(|other| *other != host) {
                    for (a, b) in [(host, other), (other, host)] {
                        self.paths[a][b] = self.paths[a][b].map(|_| now);
                    }
                }
            }
            Event::HandOver(host) if host < count && self.hosts[host].running => {
                let was_away = self.hosts[host].machine.tick(ms(now)).was_away;
                if !was_away {
                    let _ = self.hosts[host].machine.hand_over(ms(now));
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, now: u64) {
        for index in 0..self.hosts.len() {
            if !self.hosts[index].running {
                continue;
            }
            let host = &mut self.hosts[index];
            let due: Vec<_> = host.inbox.extract_if(.., |(at, ..)| *at <= now).collect();
            let was_away = host.machine.tick(ms(now)).was_away;
            if !was_away {
                for (_, from, beat, hears) in due {
                    host.machine.observe(ms(now), heard(&format!("h{from}"), beat, hears));
                }
            }
            let beat = host.machine.beat(ms(now));
            if now % BEAT == host.phase || host.said.as_ref() != Some(&beat) {
                host.said = Some(beat.clone());
                host.seen_until = host.machine.seen_until(ms(now));
                for other in 0..self.hosts.len() {
                    if other != index && self.paths[index][other].is_some() {
                        let hears = self.hosts[index].machine.hears(&format!("h{other}"), ms(now));
                        let at = now + self.way();
                        self.hosts[other].inbox.push((at, index, beat.clone(), hears));
                    }
                }
            }
        }
    }

    fn owners(&self, now: u64) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.hosts[*host].seen_until > ms(now)).collect()
    }

    /// No two owners hear each other for longer than one beat and the way.
    fn check(&self, now: u64) -> Result<(), TestCaseError> {
        let owners = self.owners(now);
        for (a, b) in owners.iter().flat_map(|a| owners.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b) {
            if let Some(since) = self.paths[a][b] {
                // A stopped host says nothing more; those who had heard it must still leave it its time.
                let until = now.min(self.hosts[a].stopped_at).min(self.hosts[b].stopped_at);
                let heard = until.saturating_sub(since);
                prop_assert!(heard <= BEAT + 2 * WAY, "{a} and {b} at {now} ms, with a path since {since} ms");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    // proves: H-3a H-7
    #[test]
    fn never_two_owners_while_they_hear_each_other_and_always_one_in_the_end(
        phases in prop::collection::vec(0..BEAT, 2..=4),
        events in prop::collection::vec((0_u64..3000, event()), 0..40),
    ) {
        const QUIET: u64 = 3000;
        let mut network = Network::new(&phases);
        for now in 1..QUIET + 1500 {
            for (_, event) in events.iter().filter(|(at, _)| *at == now) {
                network.apply(now, event);
            }
            if now == QUIET {
                for a in 0..phases.len() {
                    network.apply(now, &Event::Continue(a));
                    for b in 0..phases.len() {
                        network.apply(now, &Event::Heal(a, b));
                    }
                }
            }
            network.step(now);
            network.check(now)?;
            if now > QUIET + 4 * GONE + BEAT {
                prop_assert_eq!(network.owners(now).len(), 1, "at {} ms", now);
            }
        }
    }

    // proves: H-3a
    #[test]
    fn a_healed_split_is_settled_within_one_beat_and_by_the_rank(
        phases in prop::collection::vec(0..BEAT, 2),
        cut in 400_u64..600,
        lasts in 400_u64..900,
    ) {
        let mut network = Network::new(&phases);
        for now in 1..cut + lasts + 200 {
            if now == cut {
                network.apply(now, &Event::Cut(0, 1));
            }
            if now == cut + lasts {
                prop_assert_eq!(network.owners(now), [0, 1]);
                network.apply(now, &Event::Heal(0, 1));
            }
            network.step(now);
            if now > cut + lasts + BEAT + WAY {
                prop_assert_eq!(network.owners(now), [0]);
            }
        }
    }
}
