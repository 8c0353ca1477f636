//! One watched peer: its status file, kept on the disk, and the timers of judging and signalling.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use monitor_core::{
    config::PeerSetting,
    domain::{MonotonicNs, UnixMs},
    heartbeat::{
        status::{PeerNotice, State, StatusFile},
        wire::{Signal, Status},
    },
};
use serde::{Deserialize, Serialize};

use crate::health::HealthCheck;

/// What is on the disk: the status file, and since when the peer is down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::peer) struct Kept {
    pub(in crate::peer) status: StatusFile,
    pub(in crate::peer) since: UnixMs,
    /// Begin of the outage that people were told of, or are to be told of.
    pub(in crate::peer) down_since: UnixMs,
    /// A notice whose letters are not known to be written: written again at the next start, under the same names.
    pub(in crate::peer) untold: Option<(PeerNotice, UnixMs)>,
}

/// See the module.
#[derive(Debug)]
pub(in crate::peer) struct Watched {
    pub(in crate::peer) kept: Kept,
    path: PathBuf,
    running_every: Duration,
    judge_every: Duration,
    next_signal: MonotonicNs,
    next_judgement: MonotonicNs,
    judged: MonotonicNs,
    pub(in crate::peer) health_check: HealthCheck,
    /// The first start signal goes out before the application is looked at.
    started: bool,
    /// The peer does not hold this system for up, or asks for a start.
    start_wanted: bool,
    value: u64,
}

impl Watched {
    /// Goes on from the disk.
    pub(in crate::peer) fn open(
        setting: &PeerSetting,
        folder: &Path,
        health_check: HealthCheck,
        now: MonotonicNs,
    ) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", setting.name));
        let mut kept: Kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(file = %path.display(), %error, "status file is not readable and begins anew");
                Kept::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error),
        };
        kept.status.forget_previous();
        Ok(Self {
            kept,
            path,
            running_every: setting.running_every,
            judge_every: setting.judge_every,
            next_signal: now,
            next_judgement: now + setting.judge_every,
            judged: now,
            health_check,
            started: false,
            start_wanted: true,
            value: 0,
        })
    }

    /// When something is to be done if nothing comes before.
    pub(in crate::peer) fn next_deadline(&self) -> MonotonicNs {
        self.next_signal.min(self.next_judgement)
    }

    /// The peer's word. Says what to tell; an answer is sent by [`Watched::own_signal`], at once.
    pub(in crate::peer) fn heard(&mut self, status: Status, now: MonotonicNs, at: UnixMs) -> Option<PeerNotice> {
        self.start_wanted = !status.holds_you_up;
        let before = self.kept.status.state;
        let (notice, answer) = self.kept.status.signal(status.signal);
        if answer {
            self.start_wanted = true;
            self.next_signal = now;
        }
        self.keep(before, notice, at);
        notice
    }

    /// Judges when it is time.
    pub(in crate::peer) fn judge(&mut self, now: MonotonicNs, at: UnixMs) -> Option<PeerNotice> {
        if now < self.next_judgement {
            return None;
        }
        // The judge was away: its peer had no chance.
        if now.0.saturating_sub(self.judged.0) > 2 * nanoseconds(self.judge_every) {
            self.kept.status.forget_previous();
        }
        (self.judged, self.next_judgement) = (now, now + self.judge_every);
        let before = self.kept.status.state;
        let notice = self.kept.status.judge();
        self.keep(before, notice, at);
        notice
    }

    /// What to send now, when it is time: start until the peer's own start was seen and it holds this system for up, then
    /// running, also to one that is down: its application may fail while it goes on judging. Nothing while the own
    /// application does not work (O-5).
    pub(in crate::peer) fn own_signal(&mut self, now: MonotonicNs, at: UnixMs) -> Option<Status> {
        if now < self.next_signal {
            return None;
        }
        self.next_signal = now + self.running_every;
        let first = !std::mem::replace(&mut self.started, true);
        if !first && !self.health_check.works() {
            // After a stall the peer has to see a start.
            return None;
        }
        let holds_you_up = self.kept.status.state.is_up();
        let its_start_was_seen = !matches!(self.kept.status.state, State::Initial | State::End);
        let signal = if self.start_wanted || !its_start_was_seen {
            Signal::Start
        } else {
            // A time stamp, and never the same twice where the clock stands or steps back.
            self.value = (self.value + 1).max(u64::try_from(at.0).unwrap_or(0));
            Signal::Running(self.value)
        };
        self.start_wanted = false;
        Some(Status { signal, holds_you_up })
    }

    /// The last signal: ended in order.
    pub(in crate::peer) fn end(&self) -> Status {
        Status { signal: Signal::End, holds_you_up: self.kept.status.state.is_up() }
    }

    /// The letters of the notice are in the outbox.
    pub(in crate::peer) fn told(&mut self, notice: PeerNotice) {
        if self.kept.untold.is_some_and(|(untold, _)| untold == notice) {
            self.kept.untold = None;
            self.save();
        }
    }

    fn keep(&mut self, before: State, notice: Option<PeerNotice>, at: UnixMs) {
        if let Some(notice) = notice {
            if notice == PeerNotice::Down {
                self.kept.down_since = at;
            }
            self.kept.untold = Some((notice, at));
        }
        if before != self.kept.status.state {
            self.kept.since = at;
        }
        if before != self.kept.status.state || notice.is_some() {
            self.save();
        }
    }

    fn save(&self) {
        let save = || {
            let new = self.path.with_extension("new");
            fs::write(&new, serde_json::to_vec_pretty(&self.kept)?)?;
            fs::rename(&new, &self.path)
        };
        if let Err(error) = save() {
            tracing::error!(file = %self.path.display(), %error, "the status file is not kept");
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}
