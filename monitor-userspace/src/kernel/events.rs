//! The ring buffer, read in batches.

use std::net::IpAddr;

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use monitor_common::{Event, EventKind, Evidence, ServiceFlags, map};
use monitor_core::{
    domain::{ClientAddr, MonotonicNs, Service, UnixMs},
    outage::{FailedAttempt, Failure, Observation, Recovery, Standing},
};
use tokio::io::unix::AsyncFd;

use super::{clock::Clock, error::KernelError};

/// One event, in the words of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Something that the machine is to be told.
    Observed {
        /// What.
        observation: Observation,
        /// When the kernel saw it: the begin of every latency.
        at: MonotonicNs,
    },
    /// A service answered for the first time (design rule 3).
    Learned {
        /// Which.
        service: Service,
        /// When.
        at: UnixMs,
    },
}

/// The reading end of the ring buffer.
pub struct Events {
    ring: AsyncFd<RingBuf<MapData>>,
    /// Records of another layout: counted, never acted on.
    pub unreadable: u64,
}

impl Events {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = ebpf.take_map(map::EVENTS).ok_or(KernelError::MapMissing(map::EVENTS))?;
        let ring = RingBuf::try_from(map).map_err(|source| KernelError::map(map::EVENTS, source))?;
        // SAFETY: the ring buffer owns its descriptor and gives out the same one until it is dropped.
        let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| KernelError::Events(error.into_parts().1))?;
        Ok(Self { ring, unreadable: 0 })
    }

    /// Waits for events and takes up to `limit` of them. Cancel-safe: an event is taken whole or not at all.
    pub async fn batch(&mut self, limit: usize) -> Result<Vec<Event>, KernelError> {
        loop {
            let mut ready = self.ring.readable_mut().await.map_err(KernelError::Events)?;
            let batch = take(ready.get_inner_mut(), limit, &mut self.unreadable);
            if batch.len() < limit {
                ready.clear_ready();
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// Takes up to `limit` events that are there now.
    pub fn take(&mut self, limit: usize) -> Vec<Event> {
        take(self.ring.get_mut(), limit, &mut self.unreadable)
    }
}

fn take(ring: &mut RingBuf<MapData>, limit: usize, unreadable: &mut u64) -> Vec<Event> {
    let mut batch = Vec::new();
    while batch.len() < limit {
        let Some(item) = ring.next() else { break };
        match Event::from_bytes(&item) {
            Some(event) => batch.push(event),
            None => *unreadable += 1,
        }
    }
    batch
}

impl Report {
    /// The event in the machine's words. `answers_seen`: whether this path has ever shown an answer; `known`: whether
    /// the client is in the address book.
    pub fn new(event: &Event, clock: Clock, answers_seen: bool, known: impl FnOnce(ClientAddr) -> bool) -> Self {
        let service = Service::new(IpAddr::from(event.server), event.server_port);
        let client = ClientAddr::new(IpAddr::from(event.client));
        let at_ns = MonotonicNs(event.at_ns);
        let at = clock.unix(at_ns);
        let observation = match event.kind {
            EventKind::Learned => return Self::Learned { service, at },
            EventKind::Failed => Observation::Failed(FailedAttempt {
                client,
                service,
                evidence: failure(event.evidence),
                seen: MonotonicNs(event.seen_ns),
                last_answer: (event.last_answer_ns != 0).then_some(MonotonicNs(event.last_answer_ns)),
                at: clock.unix(MonotonicNs(event.seen_ns)),
                attempts: event.attempts,
                standing: standing(event.standing),
                answers_seen,
                known: known(client),
            }),
            EventKind::Answered => Observation::Answered { service, client: Some(client), at },
            EventKind::HostSeen => Observation::HostSeen {
                host: service.addr(),
                evidence: match event.evidence {
                    Evidence::NeighbourAdvertisement => Recovery::NeighbourAdvertisement,
                    _ => Recovery::Arp,
                },
                at,
            },
        };
        Self::Observed { observation, at: at_ns }
    }
}

const fn failure(evidence: Evidence) -> Failure {
    match evidence {
        Evidence::Refused => Failure::Refused,
        Evidence::HostUnreachable => Failure::HostUnreachable,
        Evidence::NetUnreachable => Failure::NetUnreachable,
        Evidence::PortUnreachable => Failure::PortUnreachable,
        Evidence::Prohibited => Failure::Prohibited,
        Evidence::KnownFailed => Failure::KnownFailed,
        Evidence::Stalled => Failure::Stalled,
        // The programs report nothing else as a failure.
        Evidence::Unanswered
        | Evidence::SynAck
        | Evidence::ClientAck
        | Evidence::Arp
        | Evidence::NeighbourAdvertisement => Failure::Unanswered,
    }
}

const fn standing(flags: u32) -> Standing {
    if flags & ServiceFlags::LISTED != 0 {
        Standing::Listed
    } else if flags & ServiceFlags::ANSWERED != 0 {
        Standing::Learned
    } else {
        Standing::Unknown
    }
}
