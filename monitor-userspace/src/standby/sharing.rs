//! All groups of shared addresses of this host: what their machines decide is carried out.
//!
//! In: beats of the other hosts, time, the state of the interface and the applications, what others claim of the
//! addresses. Out: this host's beats, the kernel's gate, announcements, [`ModeChange`]s. Blocking, and quick: the thread of the
//! heartbeats runs it.

use std::time::Duration;

use monitor_core::{
    config::{Standby, StandbyGroup},
    domain::{MonotonicNs, UnixMs},
    heartbeat::wire::{Beat, Mode, Rank},
    standby::{
        defence::{Defence, PAUSE},
        machine::{StandbyActions, StandbyFact, StandbyMachine, Why},
    },
};

use super::{GroupLine, HandOverError, ModeChange, shared_link::SharedLink};
use crate::{
    clock::Now as _,
    health::HealthCheck,
    kernel::{Claimed, Gate},
};

/// See the module.
pub(crate) struct Sharing {
    settings: Standby,
    own: String,
    outside: Outside,
    groups: Vec<Group>,
    next_beat: MonotonicNs,
}

/// What a change of mode reaches.
struct Outside {
    link: SharedLink,
    changed: Box<dyn Fn(ModeChange) + Send>,
    gone_after: Duration,
}

impl Outside {
    fn was_away(&self, turn: MonotonicNs) -> bool {
        MonotonicNs::now() >= turn + self.gone_after
    }
}

struct Group {
    setting: StandbyGroup,
    health_check: HealthCheck,
    machine: StandbyMachine,
    defence: Defence,
    /// What the others were last told.
    said: Option<Beat>,
    since: UnixMs,
    why: Option<Why>,
    changes: u64,
    announce_again: Option<MonotonicNs>,
}

impl Sharing {
    /// `expected`: other hosts that share. `health_check`: for the application of each group.
    pub(crate) fn new(
        settings: &Standby,
        own: &str,
        expected: usize,
        link: SharedLink,
        changed: Box<dyn Fn(ModeChange) + Send>,
        health_check: impl Fn(&StandbyGroup) -> HealthCheck,
    ) -> Self {
        let now = MonotonicNs::now();
        let priority = link.mac().iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let group = |setting: &StandbyGroup| {
            let rank = Rank { priority: setting.priority.unwrap_or(priority), name: own.to_owned() };
            Group {
                setting: setting.clone(),
                health_check: health_check(setting),
                machine: StandbyMachine::new(rank, settings.gone_after(), expected, now),
                defence: Defence::default(),
                said: None,
                since: UnixMs::now(),
                why: None,
                changes: 0,
                announce_again: None,
            }
        };
        let groups = settings.group.iter().map(group).collect();
        let outside = Outside { link, changed, gone_after: settings.gone_after() };
        Self { settings: settings.clone(), own: own.to_owned(), outside, groups, next_beat: now }
    }

    /// Silence of this length means that a host is gone.
    pub(crate) fn gone_after(&self) -> Duration {
        self.settings.gone_after()
    }

    /// Whether this host was stopped since the turn that began at `turn`, for so long that others may have taken over.
    pub(crate) fn was_away(&self, turn: MonotonicNs) -> bool {
        self.outside.was_away(turn)
    }

    /// Time has passed. Says whether this host was stopped meanwhile.
    pub(crate) fn turn(&mut self, now: MonotonicNs) -> bool {
        let is_another = self.outside.link.turn(now);
        let linked = self.outside.link.is_fit();
        let mut away = false;
        for group in &mut self.groups {
            let was_active = group.is_active();
            away |= group.step(now, &mut self.outside, |machine| machine.tick(now)).was_away;
            // What was claimed until now was claimed in the mode until now. Who was away has lost the right to answer: others
            // may have taken over meanwhile.
            group.defend(now, was_active && group.is_active(), &self.outside);
            let fit = linked && group.health_check.works();
            group.step(now, &mut self.outside, |machine| machine.observe(now, StandbyFact::Fit(fit)));
            if is_another && group.is_active() {
                group.announce(now, &self.outside);
            }
        }
        away
    }

    /// Beats of another host.
    pub(crate) fn heard(&mut self, now: MonotonicNs, from: &str, beats: &[(String, Beat)], hears_us: bool) {
        for (name, beat) in beats {
            let Some(group) = self.groups.iter_mut().find(|group| group.setting.name == *name) else { continue };
            let fact = StandbyFact::Heard { peer: from.to_owned(), beat: beat.clone(), hears_us };
            group.step(now, &mut self.outside, |machine| machine.observe(now, fact));
        }
    }

    /// A way to another host works again: caches behind it may be old.
    pub(crate) fn way_returned(&mut self, now: MonotonicNs) {
        for group in self.groups.iter_mut().filter(|group| group.is_active()) {
            group.announce(now, &self.outside);
        }
    }

    /// Whether beats go out now: by their period, and whenever they say something new. The gate is kept open for them.
    pub(crate) fn beat_is_due(&mut self, now: MonotonicNs) -> bool {
        let period = now >= self.next_beat;
        let news = self.groups.iter().any(|group| group.said.as_ref() != Some(&group.machine.beat(now)));
        if period {
            self.next_beat = now + self.settings.beat;
        }
        if period || news {
            for group in &mut self.groups {
                group.said = Some(group.machine.beat(now));
                // Before the beat goes out: nobody counts from an earlier time than the gate does.
                group.keep_gate(group.machine.seen_until(now), &mut self.outside.link.gate);
            }
        }
        period || news
    }

    /// What this host says of itself.
    pub(crate) fn beats(&self, now: MonotonicNs) -> Vec<(String, Beat)> {
        self.groups.iter().map(|group| (group.setting.name.clone(), group.machine.beat(now))).collect()
    }

    /// Announcements that are due again.
    pub(crate) fn repeat(&mut self, now: MonotonicNs) {
        for group in &mut self.groups {
            if group.announce_again.is_some_and(|at| at <= now) {
                group.announce_again = None;
                group.say_whose(now, &self.outside);
            }
        }
    }

    /// When something is to be done if nothing comes before. A peer that falls silent is noticed when it is gone, not at the
    /// next beat.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = MonotonicNs> {
        let groups = self
            .groups
            .iter()
            .flat_map(|group| [group.announce_again, group.defence.next_deadline(), group.machine.next_deadline()]);
        groups.flatten().chain([self.next_beat])
    }

    /// Gives a group's addresses, or all that this host is active for, to another host. Says which groups.
    pub(crate) fn hand_over(&mut self, now: MonotonicNs, wanted: Option<&str>) -> Result<Vec<String>, HandOverError> {
        if let Some(name) = wanted
            && !self.groups.iter().any(|group| group.setting.name == name)
        {
            return Err(HandOverError::Unknown(name.to_owned()));
        }
        let mut done = Vec::new();
        for group in &mut self.groups {
            let name = group.setting.name.clone();
            // Without a name: all that this host is active for.
            if wanted.map_or(group.is_active(), |wanted| wanted == name) {
                let actions =
                    group.machine.hand_over(now).map_err(|error| HandOverError::Refused(name.clone(), error))?;
                group.carry_out(Mode::Active, actions, now, &mut self.outside);
                done.push(name);
            }
        }
        Ok(done)
    }

    /// The daemon ends in order: the addresses go to others at once.
    pub(crate) fn retire(&mut self, now: MonotonicNs) {
        for group in &mut self.groups {
            group.step(now, &mut self.outside, |machine| machine.observe(now, StandbyFact::Retires));
        }
    }

    /// For people.
    pub(crate) fn lines(&self, now: MonotonicNs) -> Vec<GroupLine> {
        self.groups.iter().map(|group| group.line(now, &self.own, &self.outside.link)).collect()
    }
}

impl Group {
    fn is_active(&self) -> bool {
        self.machine.mode() == Mode::Active
    }

    /// Gives the machine its turn and carries out what comes of it.
    fn step(
        &mut self,
        now: MonotonicNs,
        outside: &mut Outside,
        turn: impl FnOnce(&mut StandbyMachine) -> StandbyActions,
    ) -> StandbyActions {
        let before = self.machine.mode();
        let actions = turn(&mut self.machine);
        self.carry_out(before, actions, now, outside);
        actions
    }

    fn carry_out(&mut self, before: Mode, actions: StandbyActions, now: MonotonicNs, outside: &mut Outside) {
        if let Some((mode, why)) = actions.changed {
            (self.since, self.why) = (UnixMs::now(), Some(why));
            self.changes += 1;
            if mode == Mode::Active {
                // First everyone's caches, then questions are answered (H-4).
                self.announce(now, outside);
            } else {
                self.announce_again = None;
            }
            self.keep_gate(self.machine.seen_until(now), &mut outside.link.gate);
            let (group, at) = (self.setting.name.clone(), self.since);
            (outside.changed)(ModeChange { group, mode, why, before, at });
        }
        if actions.correct_caches {
            self.announce(now, outside);
        }
    }

    /// Answers claims of others.
    fn defend(&mut self, now: MonotonicNs, active: bool, outside: &Outside) {
        let claimed = self.claimed(&outside.link.gate);
        // Stopped since this turn began, also in that look: whose the address is now is for the next turn to find out.
        if outside.was_away(now) {
            return;
        }
        if self.defence.look(now, active, claimed.count) {
            let by = mac(claimed.latest);
            tracing::warn!(
                group = self.setting.name,
                by,
                "another host has claimed a shared address; announcing again"
            );
            self.say_whose(now, outside);
        }
    }

    /// Of all addresses together.
    fn claimed(&self, gate: &Gate) -> Claimed {
        let claims = self.setting.addresses.iter().map(|address| gate.claimed(*address));
        claims.fold(Claimed::default(), |sum, one| Claimed {
            count: sum.count + one.count,
            latest: if one.count > 0 { one.latest } else { sum.latest },
        })
    }

    /// Now, and once more: a frame may be lost.
    fn announce(&mut self, now: MonotonicNs, outside: &Outside) {
        self.say_whose(now, outside);
        self.announce_again = Some(now + PAUSE);
    }

    fn say_whose(&self, now: MonotonicNs, outside: &Outside) {
        // As with beats: who was stopped in the middle of a turn claims nothing by it.
        if outside.was_away(now) {
            return;
        }
        if let Err(error) = outside.link.announce(&self.setting.addresses) {
            tracing::warn!(group = self.setting.name, %error, "an announcement was not sent");
        }
    }

    fn keep_gate(&self, until: MonotonicNs, gate: &mut Gate) {
        for address in &self.setting.addresses {
            if let Err(error) = gate.open_until(*address, until) {
                tracing::error!(%address, %error, "the gate does not follow");
            }
        }
    }

    fn line(&self, now: MonotonicNs, own: &str, link: &SharedLink) -> GroupLine {
        let gate = &link.gate;
        let claimed = self.claimed(gate);
        GroupLine {
            group: self.setting.name.clone(),
            addresses: self.setting.addresses.clone(),
            mode: self.machine.mode(),
            since: self.since,
            why: self.why.map(|why| why.words().to_owned()),
            active: match self.machine.mode() {
                Mode::Active => Some(own.to_owned()),
                _ => self.machine.active_peer(now).map(str::to_owned),
            },
            stopped: self.setting.addresses.iter().map(|address| gate.stopped(*address)).sum(),
            own_trouble: link.trouble().cloned().or_else(|| self.health_check.trouble()),
            changes: self.changes,
            conflicts: self.defence.conflicts(),
            claimed_by: (claimed.count > 0).then(|| mac(claimed.latest)),
        }
    }
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}
