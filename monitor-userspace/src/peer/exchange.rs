//! The thread that exchanges heartbeats and carries out what the machines decide.
//!
//! In: datagrams, time, commands. Out: datagrams, the kernel's gate, announcements, [`Event`]s. A thread of its own with
//! blocking calls: nothing that the daemon does besides may delay a beat.

use std::{
    io::{self, Read as _},
    net::IpAddr,
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    path::{Arrival, Paths, has_link},
    report::{GroupLine, GroupMode, PathLine, PeerLine, PeersReport, WatchLine},
    session::{Session, Worth},
    watch::{status::Notice, vouch::Vouch, watched::Watched},
    wire::{self, Beat, Message, Mode, Rank, Secret, Status},
};
use crate::{
    config::{PeerSetting, Standby, StandbyGroup},
    kernel::Gate,
    outage::{MonotonicNs, UnixMs},
    standby::{
        announce::Announcer,
        machine::{Machine, NoHandOver, Turn, Why},
    },
};

/// An announcement is said again after this time: a frame may be lost.
const REPEAT: Duration = Duration::from_secs(1);

/// Between two looks at what nothing else wakes the thread for.
const IDLE: Duration = Duration::from_secs(1);

/// What others ask of the thread.
#[derive(Debug)]
pub(super) enum Command {
    Report(oneshot::Sender<PeersReport>),
    /// The group, or all.
    HandOver(Option<String>, oneshot::Sender<Result<Vec<String>, HandOverError>>),
    /// The letters of this notice are in the outbox.
    Told(String, Notice),
    Stop,
}

/// Why an address was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// There is no such group.
    #[error("there is no group `{0}` in [standby]")]
    Unknown(String),
    /// The machine says no.
    #[error("group `{0}`: {1}")]
    Refused(String, NoHandOver),
}

/// What has happened, for the journal and for mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// This host has another mode for a group.
    Mode { group: String, mode: Mode, why: Why, before: Mode, at: UnixMs },
    /// People are to be told of a watched peer. `since`: begin of the outage, which names the letters.
    Notice { peer: String, notice: Notice, at: UnixMs, since: UnixMs },
}

/// The machinery of `[standby]`.
pub(super) struct Sharing {
    settings: Standby,
    gate: Gate,
    announcer: Announcer,
    groups: Vec<Group>,
    next_beat: MonotonicNs,
}

struct Group {
    setting: StandbyGroup,
    vouch: Vouch,
    machine: Machine,
    /// What the others were last told.
    said: Option<Beat>,
    since: UnixMs,
    why: Option<Why>,
    announce_again: Option<MonotonicNs>,
}

struct Host {
    setting: PeerSetting,
    session: Session,
    heard: Option<MonotonicNs>,
    paths_heard: Vec<Option<MonotonicNs>>,
    watched: Option<Watched>,
    /// As they were last heard.
    groups: Vec<(String, Beat)>,
}

impl Sharing {
    pub(super) fn new(
        settings: &Standby,
        own: &str,
        expected: usize,
        gate: Gate,
        (announcer, mac): (Announcer, [u8; 6]),
        vouch: impl Fn(&StandbyGroup) -> Vouch,
    ) -> Self {
        let now = MonotonicNs::now();
        let priority = mac.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let group = |setting: &StandbyGroup| {
            let rank = Rank { priority: setting.priority.unwrap_or(priority), name: own.to_owned() };
            Group {
                setting: setting.clone(),
                vouch: vouch(setting),
                machine: Machine::new(rank, settings.gone_after(), expected, now),
                said: None,
                since: UnixMs::now(),
                why: None,
                announce_again: None,
            }
        };
        let groups = settings.group.iter().map(group).collect();
        Self { settings: settings.clone(), gate, announcer, groups, next_beat: now }
    }
}

/// See the module.
pub(super) struct Exchange {
    own: String,
    secret: Secret,
    paths: Paths,
    hosts: Vec<Host>,
    sharing: Option<Sharing>,
    commands: mpsc::Receiver<Command>,
    wake: UnixStream,
    events: UnboundedSender<Event>,
    /// Datagrams that were none of ours, for the journal: said once.
    foreign: u64,
}

impl Exchange {
    #[expect(clippy::too_many_arguments, reason = "called once")]
    pub(super) fn new(
        own: String,
        secret: Secret,
        paths: Paths,
        peers: &[PeerSetting],
        state_dir: &Path,
        sharing: Option<Sharing>,
        (commands, wake): (mpsc::Receiver<Command>, UnixStream),
        events: UnboundedSender<Event>,
        vouch: impl Fn(&PeerSetting) -> Vouch,
    ) -> io::Result<Self> {
        let boot = random()?;
        let now = MonotonicNs::now();
        let host = |setting: &PeerSetting| {
            let folder = state_dir.join("peers");
            let watched = setting.watch.then(|| Watched::open(setting, &folder, vouch(setting), now)).transpose()?;
            Ok(Host {
                setting: setting.clone(),
                session: Session::new(boot),
                heard: None,
                paths_heard: vec![None; setting.paths.len()],
                watched,
                groups: Vec::new(),
            })
        };
        let hosts = peers.iter().map(host).collect::<io::Result<_>>()?;
        Ok(Self { own, secret, paths, hosts, sharing, commands, wake, events, foreign: 0 })
    }

    /// Runs until [`Command::Stop`].
    pub(super) fn run(mut self) -> io::Result<()> {
        self.tell_what_was_not_told();
        loop {
            let now = MonotonicNs::now();
            if self.turn(now) {
                // What waits in the sockets was said while this host was away.
                while self.paths.receive().is_some() {}
            }
            while let Some((arrival, datagram)) = self.paths.receive() {
                self.take(now, &arrival, &datagram);
            }
            while let Ok(command) = self.commands.try_recv() {
                if matches!(command, Command::Stop) {
                    self.stop(MonotonicNs::now());
                    return Ok(());
                }
                self.command(now, command);
            }
            self.judge(now);
            self.speak(now);
            self.announce_again(now);
            self.wait()?;
        }
    }

    /// Time has passed. Says whether this host was stopped meanwhile.
    fn turn(&mut self, now: MonotonicNs) -> bool {
        let Some(sharing) = &mut self.sharing else { return false };
        let linked = has_link(&sharing.settings.interface);
        let mut away = false;
        for group in &mut sharing.groups {
            let before = group.machine.mode();
            let (turn, stalled) = group.machine.turn(now);
            away |= stalled;
            carry_out(group, before, turn, now, &mut sharing.gate, &sharing.announcer, &self.events);
            let before = group.machine.mode();
            let turn = group.machine.set_fit(now, linked && group.vouch.works());
            carry_out(group, before, turn, now, &mut sharing.gate, &sharing.announcer, &self.events);
        }
        away
    }

    /// A datagram has arrived.
    fn take(&mut self, now: MonotonicNs, arrival: &Arrival, datagram: &[u8]) {
        let message = match wire::open(datagram, &self.secret) {
            Ok(message) => message,
            Err(error) => {
                self.foreign += 1;
                if self.foreign.is_power_of_two() {
                    tracing::warn!(?arrival, %error, count = self.foreign, "a datagram is no heartbeat of ours");
                }
                return;
            }
        };
        // On a link everybody's frames are heard, also those for others.
        if message.to != self.own {
            return;
        }
        let Some(at) = self.hosts.iter().position(|host| host.setting.name == message.from) else {
            tracing::debug!(from = message.from, "a heartbeat of a host that is no [[peer]]");
            return;
        };
        let host = &mut self.hosts[at];
        match host.session.take(&message) {
            Worth::Replayed => return,
            Worth::Greeting => {
                let stamp = host.session.stamp_for(message.boot);
                self.send(at, stamp, None, now);
                return;
            }
            Worth::Overtaken => {
                self.path_works(at, arrival, now);
                return;
            }
            Worth::Newest => self.path_works(at, arrival, now),
        }
        let host = &mut self.hosts[at];
        host.heard = Some(now);
        if let (Some(watched), Some(status)) = (&mut host.watched, message.status) {
            let notice = watched.heard(status, now, UnixMs::now());
            tell(&self.events, host, notice);
        }
        let Some(sharing) = self.sharing.as_mut().filter(|_| self.hosts[at].setting.standby) else { return };
        for (name, beat) in &message.groups {
            let Some(group) = sharing.groups.iter_mut().find(|group| group.setting.name == *name) else { continue };
            let before = group.machine.mode();
            let turn = group.machine.heard(now, &message.from, beat.clone(), message.hears_you);
            carry_out(group, before, turn, now, &mut sharing.gate, &sharing.announcer, &self.events);
        }
        self.hosts[at].groups = message.groups;
    }

    /// A way works. If it did not before, caches behind it may be old: an active host says again that it is the one.
    fn path_works(&mut self, at: usize, arrival: &Arrival, now: MonotonicNs) {
        let host = &mut self.hosts[at];
        let limit = self.sharing.as_ref().map_or(host.setting.judge_every, |sharing| sharing.settings.gone_after());
        let returned = host.path_works(arrival, now, limit);
        let Some(sharing) = &mut self.sharing else { return };
        for group in sharing.groups.iter_mut().filter(|group| returned && group.machine.mode() == Mode::Active) {
            announce(group, &sharing.announcer);
            group.announce_again = Some(now + REPEAT);
        }
    }

    fn judge(&mut self, now: MonotonicNs) {
        for host in &mut self.hosts {
            let notice = host.watched.as_mut().and_then(|watched| watched.judge(now, UnixMs::now()));
            tell(&self.events, host, notice);
        }
    }

    /// Sends what is due: beats by their period and whenever they say something new, signals by theirs.
    fn speak(&mut self, now: MonotonicNs) {
        let mut beat_due = false;
        if let Some(sharing) = &mut self.sharing {
            let period = now >= sharing.next_beat;
            let news = sharing.groups.iter().any(|group| group.said.as_ref() != Some(&group.machine.beat(now)));
            beat_due = period || news;
            if period {
                sharing.next_beat = now + sharing.settings.beat;
            }
            if beat_due {
                for group in &mut sharing.groups {
                    group.said = Some(group.machine.beat(now));
                    // Before the beat goes out: nobody counts from an earlier time than the gate does.
                    keep_gate(group, group.machine.seen_until(now), &mut sharing.gate);
                }
            }
        }
        for at in 0..self.hosts.len() {
            let host = &mut self.hosts[at];
            let status = host.watched.as_mut().and_then(|watched| watched.own_signal(now, UnixMs::now()));
            if status.is_some() || (beat_due && host.setting.standby) {
                let stamp = host.session.stamp();
                self.send(at, stamp, status, now);
            }
        }
    }

    fn send(&mut self, at: usize, stamp: (u64, u64, u64), status: Option<Status>, now: MonotonicNs) {
        let gone_after = self.sharing.as_ref().map(|sharing| sharing.settings.gone_after());
        let host = &mut self.hosts[at];
        let groups = match &self.sharing {
            Some(sharing) if host.setting.standby => {
                sharing.groups.iter().map(|group| (group.setting.name.clone(), group.machine.beat(now))).collect()
            }
            _ => Vec::new(),
        };
        let limit = gone_after.unwrap_or(host.setting.judge_every);
        let (boot, mut counter, echo) = stamp;
        let hears_you = host.hears(limit, now);
        for (index, path) in host.setting.paths.iter().enumerate() {
            if index > 0 {
                // Each way has a counter of its own: what arrives says that its way works.
                counter = host.session.stamp().1;
            }
            let message = Message {
                from: self.own.clone(),
                to: host.setting.name.clone(),
                boot,
                counter,
                echo,
                hears_you,
                groups: Vec::clone(&groups),
                status,
            };
            if let Err(error) = self.paths.send(path, &wire::seal(&message, &self.secret)) {
                tracing::trace!(%path, %error, "a heartbeat was not sent");
            }
        }
    }

    fn announce_again(&mut self, now: MonotonicNs) {
        let Some(sharing) = &mut self.sharing else { return };
        for group in &mut sharing.groups {
            if group.announce_again.is_some_and(|at| at <= now) {
                group.announce_again = None;
                announce(group, &sharing.announcer);
            }
        }
    }

    fn command(&mut self, now: MonotonicNs, command: Command) {
        match command {
            // Who asked may have gone.
            Command::Report(answer) => drop(answer.send(self.report(now))),
            Command::HandOver(group, answer) => drop(answer.send(self.hand_over(now, group.as_deref()))),
            Command::Told(peer, notice) => {
                let host = self.hosts.iter_mut().find(|host| host.setting.name == peer);
                if let Some(watched) = host.and_then(|host| host.watched.as_mut()) {
                    watched.told(notice);
                }
            }
            Command::Stop => {}
        }
    }

    fn hand_over(&mut self, now: MonotonicNs, wanted: Option<&str>) -> Result<Vec<String>, HandOverError> {
        let groups = self.sharing.as_mut().map(|sharing| &mut sharing.groups[..]).unwrap_or_default();
        if let Some(name) = wanted
            && !groups.iter().any(|group| group.setting.name == name)
        {
            return Err(HandOverError::Unknown(name.to_owned()));
        }
        let mut done = Vec::new();
        let Some(sharing) = &mut self.sharing else { return Ok(done) };
        for group in &mut sharing.groups {
            let name = &group.setting.name;
            // Without a name: all that this host is active for.
            let meant = wanted.map_or(group.machine.mode() == Mode::Active, |wanted| wanted == name);
            if meant {
                let turn = group.machine.hand_over(now).map_err(|error| HandOverError::Refused(name.clone(), error))?;
                done.push(name.clone());
                carry_out(group, Mode::Active, turn, now, &mut sharing.gate, &sharing.announcer, &self.events);
            }
        }
        Ok(done)
    }

    /// In order: the addresses go to others at once, and the peers hear an end.
    fn stop(&mut self, now: MonotonicNs) {
        if let Some(sharing) = &mut self.sharing {
            for group in &mut sharing.groups {
                let before = group.machine.mode();
                let turn = group.machine.retire(now);
                carry_out(group, before, turn, now, &mut sharing.gate, &sharing.announcer, &self.events);
            }
        }
        for at in 0..self.hosts.len() {
            let host = &mut self.hosts[at];
            let status = host.watched.as_ref().map(Watched::end);
            // Twice: it may be lost, and there is no later.
            for _ in 0..2 {
                let stamp = self.hosts[at].session.stamp();
                self.send(at, stamp, status, now);
            }
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let now = MonotonicNs::now();
        let sharing = self.sharing.iter().flat_map(|sharing| {
            let again = sharing.groups.iter().filter_map(|group| group.announce_again);
            // A peer that falls silent is noticed when it is, not at the next beat.
            let gone = self.hosts.iter().filter_map(|host| host.heard).map(|at| at + sharing.settings.gone_after());
            [sharing.next_beat].into_iter().chain(again).chain(gone.filter(|at| *at > now).collect::<Vec<_>>())
        });
        let watched = self.hosts.iter().filter_map(|host| host.watched.as_ref().map(Watched::due));
        let until = sharing.chain(watched).fold(now + IDLE, Ord::min);
        let pause = Duration::from_nanos(until.0.saturating_sub(now.0));
        let mut waited: Vec<_> = self.paths.descriptors().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        waited.push(PollFd::new(self.wake.as_fd(), PollFlags::POLLIN));
        match ppoll(&mut waited, Some(TimeSpec::from_duration(pause)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        drop(waited);
        // Each byte was written after its command.
        while self.wake.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        Ok(())
    }

    /// An earlier daemon ended between a judgement and its letters.
    fn tell_what_was_not_told(&self) {
        for host in &self.hosts {
            if let Some((notice, _)) = host.watched.as_ref().and_then(|watched| watched.kept.untold) {
                tell(&self.events, host, Some(notice));
            }
        }
    }

    fn report(&self, now: MonotonicNs) -> PeersReport {
        let wall = UnixMs::now();
        let at = |heard: MonotonicNs| wall.before(Duration::from_nanos(now.0.saturating_sub(heard.0)));
        let gone_after = self.sharing.as_ref().map(|sharing| sharing.settings.gone_after());
        let peers = self.hosts.iter().map(|host| {
            let limit = gone_after.unwrap_or(host.setting.judge_every);
            let path = |(path, heard): (&crate::config::PeerPath, &Option<MonotonicNs>)| PathLine {
                path: path.to_string(),
                works: heard.is_some_and(|heard| within(heard, limit, now)),
                heard: heard.map(at),
            };
            PeerLine {
                name: host.setting.name.clone(),
                heard: host.heard.map(at),
                reachable: host.hears(limit, now),
                paths: host.setting.paths.iter().zip(&host.paths_heard).map(path).collect(),
                watch: host.watched.as_ref().map(|watched| WatchLine {
                    state: watched.kept.status.state,
                    since: watched.kept.since,
                    awaiting_recovery: watched.kept.status.awaiting,
                }),
                groups: host
                    .groups
                    .iter()
                    .map(|(name, beat)| GroupMode { group: name.clone(), mode: beat.mode })
                    .collect(),
            }
        });
        let groups = self.sharing.iter().flat_map(|sharing| {
            sharing.groups.iter().map(|group| GroupLine {
                group: group.setting.name.clone(),
                addresses: group.setting.addresses.clone(),
                mode: group.machine.mode(),
                since: group.since,
                why: group.why.map(|why| why.words().to_owned()),
                active: match group.machine.mode() {
                    Mode::Active => Some(self.own.clone()),
                    _ => group.machine.active_peer(now).map(str::to_owned),
                },
                stopped: group.setting.addresses.iter().map(|address| sharing.gate.stopped(*address)).sum(),
            })
        });
        PeersReport { name: self.own.clone(), peers: peers.collect(), groups: groups.collect() }
    }
}

impl Host {
    /// Says whether a way works again that was silent.
    fn path_works(&mut self, arrival: &Arrival, now: MonotonicNs, limit: Duration) -> bool {
        let mut returned = false;
        for (path, heard) in self.setting.paths.iter().zip(&mut self.paths_heard) {
            if arrival.is(path) {
                returned |= !heard.is_some_and(|heard| within(heard, limit, now));
                *heard = Some(now);
            }
        }
        returned
    }

    fn hears(&self, limit: Duration, now: MonotonicNs) -> bool {
        self.heard.is_some_and(|heard| within(heard, limit, now))
    }
}

const fn within(heard: MonotonicNs, limit: Duration, now: MonotonicNs) -> bool {
    now.0.saturating_sub(heard.0) < limit.as_nanos() as u64
}

fn tell(events: &UnboundedSender<Event>, host: &Host, notice: Option<Notice>) {
    let Some((watched, notice)) = host.watched.as_ref().zip(notice) else { return };
    let at = watched.kept.untold.map_or_else(UnixMs::now, |(_, at)| at);
    let event = Event::Notice { peer: host.setting.name.clone(), notice, at, since: watched.kept.down_since };
    // The receiver goes only with the daemon.
    let _ = events.send(event);
}

/// What a turn of the machine leads to outside it.
fn carry_out(
    group: &mut Group,
    before: Mode,
    turn: Turn,
    now: MonotonicNs,
    gate: &mut Gate,
    announcer: &Announcer,
    events: &UnboundedSender<Event>,
) {
    if let Some((mode, why)) = turn.changed {
        (group.since, group.why) = (UnixMs::now(), Some(why));
        if mode == Mode::Active {
            // First everyone's caches, then questions are answered (H-4).
            announce(group, announcer);
            group.announce_again = Some(now + REPEAT);
            keep_gate(group, group.machine.seen_until(now), gate);
        } else {
            group.announce_again = None;
            keep_gate(group, MonotonicNs(0), gate);
        }
        let (name, at) = (group.setting.name.clone(), group.since);
        let _ = events.send(Event::Mode { group: name, mode, why, before, at });
    }
    if turn.correct_caches {
        announce(group, announcer);
        group.announce_again = Some(now + REPEAT);
    }
}

fn announce(group: &Group, announcer: &Announcer) {
    if let Err(error) = announcer.announce(&group.setting.addresses) {
        tracing::warn!(group = group.setting.name, %error, "an announcement was not sent");
    }
}

fn keep_gate(group: &Group, until: MonotonicNs, gate: &mut Gate) {
    for address in &group.setting.addresses {
        let address: IpAddr = *address;
        if let Err(error) = gate.open_until(address, until) {
            tracing::error!(%address, %error, "the gate does not follow");
        }
    }
}

/// A random number that is not 0.
fn random() -> io::Result<u64> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; 8];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(u64::from_be_bytes(bytes).max(1))
}
