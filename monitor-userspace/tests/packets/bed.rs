//! What packet tests start from: the programs with maps of their own.

use std::time::Duration;

use monitor_common::{Counter, Event, EventKind, Evidence};
use monitor_core::{config::Watch, domain::Service};
use ringback::kernel::{Events, Kernel, TrialProgram};

use crate::{GOES_ON, INGRESS, INGRESS_IP};

/// Leaves the frame to the next program.
const TC_ACT_UNSPEC: u32 = u32::MAX;

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
        Self::of(watch, &[INGRESS, TrialProgram::Egress])
    }

    /// With the programs of interfaces without a link-layer header too.
    pub(crate) fn with_ip() -> Self {
        Self::of(&watch(), &[INGRESS, INGRESS_IP, TrialProgram::EgressIp])
    }

    fn of(watch: &Watch, tried: &[TrialProgram]) -> Self {
        let (kernel, events) = Kernel::detached(watch, tried).unwrap();
        Self { kernel, events }
    }

    /// A frame that arrives. Every frame goes on.
    pub(crate) fn arrives(&self, frame: &[u8]) {
        assert_eq!(self.kernel.trial(INGRESS, frame, 1).unwrap().verdict, GOES_ON);
    }

    /// The same for a frame of which the kernel may refuse to make a packet, which XDP does not need: then there is nothing to
    /// pass. Returns whether there was.
    pub(crate) fn may_arrive(&self, frame: &[u8]) -> bool {
        let needs_none = matches!(INGRESS, TrialProgram::Ingress);
        let passed = self.may_pass(INGRESS, frame, GOES_ON);
        assert!(passed || !needs_none, "XDP takes every frame");
        passed
    }

    /// A frame that leaves. Every frame goes on to the next program.
    pub(crate) fn leaves(&self, frame: &[u8]) {
        assert!(self.may_leave(frame), "the kernel makes a packet of it");
    }

    /// The same for a frame of which the kernel may refuse to make a packet.
    pub(crate) fn may_leave(&self, frame: &[u8]) -> bool {
        self.may_pass(TrialProgram::Egress, frame, TC_ACT_UNSPEC)
    }

    fn may_pass(&self, program: TrialProgram, frame: &[u8], verdict: u32) -> bool {
        let trial = self.kernel.trial(program, frame, 1);
        if let Ok(trial) = &trial {
            assert_eq!(trial.verdict, verdict);
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
