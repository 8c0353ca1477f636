//! The thread that exchanges heartbeats with the other hosts.
//!
//! In: datagrams, time, commands. Out: datagrams, [`Event`]s; what they say of shared addresses goes to [`Sharing`]. A
//! thread of its own with blocking calls: nothing that the daemon does besides may delay a beat.

use std::{
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
    path::Path,
    sync::mpsc,
    time::Duration,
};

use monitor_core::{
    config::PeerSetting,
    domain::{MonotonicNs, UnixMs},
    heartbeat::{
        session::{Stamp, Worth},
        wire::{self, Message, Secret, Status},
    },
};
use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    command::{Command, Event},
    host::Host,
    path::{Arrival, Paths},
    report::PeersReport,
    watch::watched::Watched,
};
use crate::{
    clock::Now as _,
    health::HealthCheck,
    standby::{HandOverError, sharing::Sharing},
};

/// Between two looks at what nothing else wakes the thread for.
const IDLE: Duration = Duration::from_secs(1);

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
        health_check: impl Fn(&PeerSetting) -> HealthCheck,
    ) -> io::Result<Self> {
        let boot = random()?;
        let now = MonotonicNs::now();
        let hosts = peers
            .iter()
            .map(|setting| Host::new(setting, boot, state_dir, &health_check, now))
            .collect::<io::Result<_>>()?;
        Ok(Self { own, secret, paths, hosts, sharing, commands, wake, events, foreign: 0 })
    }

    /// Runs until [`Command::Stop`].
    pub(super) fn run(mut self) -> io::Result<()> {
        self.tell_what_was_not_told();
        loop {
            let now = MonotonicNs::now();
            if self.sharing.as_mut().is_some_and(|sharing| sharing.turn(now)) {
                // What waits in the sockets was said while this host was away.
                while self.paths.receive().is_some() {}
            }
            self.paths.follow(now);
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
            if let Some(sharing) = &mut self.sharing {
                sharing.repeat(now);
            }
            self.wait(now)?;
        }
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
            host.tell(&self.events, notice);
        }
        let Some(sharing) = self.sharing.as_mut().filter(|_| self.hosts[at].setting.standby) else { return };
        sharing.heard(now, &message.from, &message.groups, message.hears_you);
        self.hosts[at].groups = message.groups;
    }

    /// A way works. If it did not before, caches behind it may be old: an active host says again that it is the one.
    fn path_works(&mut self, at: usize, arrival: &Arrival, now: MonotonicNs) {
        let limit = self.limit(at);
        if self.hosts[at].path_works(arrival, now, limit)
            && let Some(sharing) = &mut self.sharing
        {
            sharing.way_returned(now);
        }
    }

    /// After this time without a word the host is not heard any more.
    fn limit(&self, at: usize) -> Duration {
        self.sharing.as_ref().map_or(self.hosts[at].setting.judge_every, Sharing::gone_after)
    }

    fn judge(&mut self, now: MonotonicNs) {
        for host in &mut self.hosts {
            let notice = host.watched.as_mut().and_then(|watched| watched.judge(now, UnixMs::now()));
            host.tell(&self.events, notice);
        }
    }

    /// Sends what is due: beats by their period and whenever they say something new, signals by theirs.
    fn speak(&mut self, now: MonotonicNs) {
        let beat_due = self.sharing.as_mut().is_some_and(|sharing| sharing.beat_is_due(now));
        for at in 0..self.hosts.len() {
            let host = &mut self.hosts[at];
            let status = host.watched.as_mut().and_then(|watched| watched.own_signal(now, UnixMs::now()));
            if status.is_some() || (beat_due && host.setting.standby) {
                let stamp = host.session.stamp();
                self.send(at, stamp, status, now);
            }
        }
    }

    fn send(&mut self, at: usize, stamp: Stamp, status: Option<Status>, now: MonotonicNs) {
        let limit = self.limit(at);
        let host = &mut self.hosts[at];
        let groups = match &self.sharing {
            Some(sharing) if host.setting.standby => sharing.beats(now),
            _ => Vec::new(),
        };
        let Stamp { boot, mut counter, echo } = stamp;
        let hears_you = host.hears(limit, now);
        for (index, path) in host.setting.paths.iter().enumerate() {
            if index > 0 {
                // Each way has a counter of its own: what arrives says that its way works.
                counter = host.session.stamp().counter;
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
            let sealed = wire::seal(&message, &self.secret);
            // Stopped since the turn began: what it found is no longer so, and the next turn knows. Looked at last: sealing
            // takes most of the time.
            if self.sharing.as_ref().is_some_and(|sharing| sharing.was_away(now)) {
                return;
            }
            if let Err(error) = self.paths.send(path, &sealed) {
                tracing::trace!(%path, %error, "a heartbeat was not sent");
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
        match (&mut self.sharing, wanted) {
            (Some(sharing), wanted) => sharing.hand_over(now, wanted),
            (None, Some(name)) => Err(HandOverError::Unknown(name.to_owned())),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// In order: the addresses go to others at once, and the peers hear an end.
    fn stop(&mut self, now: MonotonicNs) {
        if let Some(sharing) = &mut self.sharing {
            sharing.retire(now);
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

    /// Until there is something to do. `turn`: up to when the time has been looked at; what is due since then is not past.
    fn wait(&mut self, turn: MonotonicNs) -> io::Result<()> {
        let sharing = self.sharing.iter().flat_map(Sharing::deadlines);
        let watched = self.hosts.iter().filter_map(|host| host.watched.as_ref().map(Watched::next_deadline));
        let until = sharing.chain(watched).fold(turn + IDLE, Ord::min);
        let pause = Duration::from_nanos(until.0.saturating_sub(MonotonicNs::now().0));
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
            let untold = host.watched.as_ref().and_then(|watched| watched.kept.untold);
            host.tell(&self.events, untold.map(|(notice, _)| notice));
        }
    }

    fn report(&self, now: MonotonicNs) -> PeersReport {
        let lines = self.hosts.iter().enumerate().map(|(at, host)| host.line(self.limit(at), now));
        PeersReport {
            name: self.own.clone(),
            peers: lines.collect(),
            groups: self.sharing.as_ref().map(|sharing| sharing.lines(now)).unwrap_or_default(),
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
