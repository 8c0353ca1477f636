//! Every kind of frame through the real programs in the real kernel, without an interface (`BPF_PROG_TEST_RUN`).
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod frame;
mod fuzz;
mod gate;
mod guards;
mod loading;
mod malformed;
mod marks;
mod model;
mod odd;
mod reference;
mod syns;
mod unreachables;
mod wire;

use std::time::Duration;

use monitor_common::{Counter, Event, EventKind, Evidence};
use monitor_core::{config::Watch, domain::Service};
use ringback::kernel::{Events, Kernel, TrialProgram};

/// The programs with maps of their own.
pub(crate) struct Bed {
    pub(crate) kernel: Kernel,
    pub(crate) events: Events,
}

/// What every test starts from: a listed service and everything else learned, and a short time-out.
pub(crate) fn watch() -> Watch {
    Watch {
        servers: vec!["auto".parse().unwrap(), "10.0.2.7:80".parse().unwrap(), "[fd00::7]:80".parse().unwrap()],
        syn_timeout: Duration::from_millis(30),
        pending: 1024,
        ..Watch::default()
    }
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(&watch())
    }

    pub(crate) fn with(watch: &Watch) -> Self {
        let (kernel, events) = Kernel::detached(watch).unwrap();
        Self { kernel, events }
    }

    /// A frame that arrives. Every frame goes on.
    pub(crate) fn arrives(&self, frame: &[u8]) {
        assert_eq!(self.kernel.trial(TrialProgram::Ingress, frame, 1).unwrap().verdict, 2, "XDP_PASS");
    }

    /// A frame that leaves. Every frame goes on to the next program.
    pub(crate) fn leaves(&self, frame: &[u8]) {
        assert_eq!(self.kernel.trial(TrialProgram::Egress, frame, 1).unwrap().verdict, u32::MAX, "TC_ACT_UNSPEC");
    }

    /// The same for a frame that the kernel may refuse to make a packet of: then there is nothing to pass. Returns whether
    /// there was.
    pub(crate) fn may_leave(&self, frame: &[u8]) -> bool {
        let trial = self.kernel.trial(TrialProgram::Egress, frame, 1);
        if let Ok(trial) = &trial {
            assert_eq!(trial.verdict, u32::MAX, "TC_ACT_UNSPEC");
        }
        trial.is_ok()
    }

    /// The next event, within two seconds.
    pub(crate) async fn next(&mut self) -> Event {
        let batch = tokio::time::timeout(Duration::from_secs(2), self.events.batch(1)).await;
        let event = batch.expect("an event").unwrap()[0];
        self.events.release();
        event
    }

    /// What is there now.
    pub(crate) fn events(&mut self) -> Vec<(EventKind, Evidence)> {
        self.take().into_iter().map(|event| (event.kind, event.evidence)).collect()
    }

    /// The same with everything that the events say.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        let events = self.events.take(1000);
        self.events.release();
        events
    }

    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.kernel.counters().unwrap().into_iter().find(|(other, _)| *other == counter).unwrap().1
    }

    /// Waits until a counter has this value.
    pub(crate) async fn counted(&self, counter: Counter, value: u64) {
        let reached = async {
            while self.count(counter) < value {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(2), reached).await.unwrap_or_else(|_| {
            panic!("{} is {}, not {value}", counter.word(), self.count(counter));
        });
    }
}

pub(crate) fn service(text: &str) -> Service {
    text.parse().unwrap()
}
