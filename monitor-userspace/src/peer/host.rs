//! One other host, as the thread of the heartbeats knows it: what is heard of it, over which ways, and its status file.

use std::{io, path::Path, time::Duration};

use monitor_core::{
    config::{PeerPath, PeerSetting},
    domain::{MonotonicNs, UnixMs},
    heartbeat::{session::Session, status::PeerNotice, wire::Beat},
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    command::Event,
    path::Arrival,
    report::{GroupMode, PathLine, PeerLine, WatchLine},
    watch::watched::Watched,
};
use crate::{clock::Now as _, health::HealthCheck};

/// See the module.
pub(super) struct Host {
    pub(super) setting: PeerSetting,
    pub(super) session: Session,
    pub(super) heard: Option<MonotonicNs>,
    paths_heard: Vec<Option<MonotonicNs>>,
    pub(super) watched: Option<Watched>,
    /// As they were last heard.
    pub(super) groups: Vec<(String, Beat)>,
}

impl Host {
    /// One that was not heard yet. `health_check`: for the own application, where the two watch each other.
    pub(super) fn new(
        setting: &PeerSetting,
        boot: u64,
        state_dir: &Path,
        health_check: impl Fn(&PeerSetting) -> HealthCheck,
        now: MonotonicNs,
    ) -> io::Result<Self> {
        let folder = state_dir.join("peers");
        let watched = setting.watch.then(|| Watched::open(setting, &folder, health_check(setting), now)).transpose()?;
        Ok(Self {
            setting: setting.clone(),
            session: Session::new(boot),
            heard: None,
            paths_heard: vec![None; setting.paths.len()],
            watched,
            groups: Vec::new(),
        })
    }

    /// Says whether a way works again that was silent.
    pub(super) fn path_works(&mut self, arrival: &Arrival, now: MonotonicNs, limit: Duration) -> bool {
        let mut returned = false;
        for (path, heard) in self.setting.paths.iter().zip(&mut self.paths_heard) {
            if arrival.is(path) {
                returned |= !heard.is_some_and(|heard| within(heard, limit, now));
                *heard = Some(now);
            }
        }
        returned
    }

    /// Whether it was heard within this time.
    pub(super) fn hears(&self, limit: Duration, now: MonotonicNs) -> bool {
        self.heard.is_some_and(|heard| within(heard, limit, now))
    }

    /// Passes on what people are to be told of it.
    pub(super) fn tell(&self, events: &UnboundedSender<Event>, notice: Option<PeerNotice>) {
        let Some((watched, notice)) = self.watched.as_ref().zip(notice) else { return };
        let at = watched.kept.untold.map_or_else(UnixMs::now, |(_, at)| at);
        let event = Event::Notice { peer: self.setting.name.clone(), notice, at, since: watched.kept.down_since };
        // The receiver goes only with the daemon.
        let _ = events.send(event);
    }

    /// For people.
    pub(super) fn line(&self, limit: Duration, now: MonotonicNs) -> PeerLine {
        let wall = UnixMs::now();
        let at = |heard: MonotonicNs| wall.before(Duration::from_nanos(now.0.saturating_sub(heard.0)));
        let path = |(path, heard): (&PeerPath, &Option<MonotonicNs>)| PathLine {
            path: path.to_string(),
            works: heard.is_some_and(|heard| within(heard, limit, now)),
            heard: heard.map(at),
        };
        PeerLine {
            name: self.setting.name.clone(),
            heard: self.heard.map(at),
            reachable: self.hears(limit, now),
            paths: self.setting.paths.iter().zip(&self.paths_heard).map(path).collect(),
            watch: self.watched.as_ref().map(|watched| WatchLine {
                state: watched.kept.status.state,
                since: watched.kept.since,
                awaiting_recovery: watched.kept.status.awaiting,
                own_trouble: watched.health_check.trouble(),
            }),
            groups: self.groups.iter().map(|(name, beat)| GroupMode { group: name.clone(), mode: beat.mode }).collect(),
        }
    }
}

const fn within(heard: MonotonicNs, limit: Duration, now: MonotonicNs) -> bool {
    now.0.saturating_sub(heard.0) < limit.as_nanos() as u64
}
