//! A kernel without eBPF, and the host around the core: what outlives a core that is killed.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use monitor_common::{Addr, Counter, Event, EventKind, Evidence, ServiceFlags, ServiceState};
use monitor_core::{
    config::Watch,
    domain::{ClientAddr, ClockOffset, ClockReading, MonotonicNs, Service, UnixMs},
    outage::{Mark, Question},
    port::Clock,
};
use monitor_store::Store;
use tokio::sync::Notify;

use crate::kernel::{Attached, EventSource, KernelError, KernelPort, Unwatched};

/// The wall clock at the kernel's zero.
pub(super) const BOOT: UnixMs = UnixMs(1_700_000_000_000);

/// What the core has done to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Let go of this many events.
    Released(usize),
    /// Set or taken back a mark, while the store had these services' outages open.
    Marked(Mark, Vec<Service>),
}

/// Where a core is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Its changes are committed; what it has read is still in the ring buffer.
    BeforeRelease,
    /// It has let go of that, and the kernel has no marks yet.
    BeforeMarks,
}

#[derive(Default)]
pub(super) struct Inside {
    pub(super) now: u64,
    /// By how many milliseconds somebody has set the wall clock ahead.
    pub(super) set_ahead: i64,
    /// How far the clock that was adopted is ahead of the kernel's, in nanoseconds; 0: none was.
    adopted: i64,
    /// Events that nobody has let go of.
    pub(super) ring: VecDeque<Event>,
    /// How many were let go, and how many of the ring the core that lives has read.
    pub(super) released: usize,
    pub(super) read: usize,
    /// Which set of maps this is.
    pub(super) maps_id: u64,
    pub(super) services: BTreeMap<Service, ServiceState>,
    pub(super) hosts: HashSet<IpAddr>,
    pub(super) done: Vec<Done>,
    /// Answers somebody between its last failed attempt and its mark.
    pub(super) answers_before_mark: Option<Service>,
    pub(super) dies: Option<Death>,
    pub(super) refuses_reload: bool,
    /// Looked at when a mark is set. To be let go before the core starts again: the database is one process's.
    pub(super) witness: Option<Store>,
}

/// Clones are the same world.
#[derive(Clone, Default)]
pub(super) struct World(Arc<(Mutex<Inside>, Notify)>);

impl World {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new core reads where the one before has let go.
    pub(super) fn is_read_anew(&self) {
        self.lock().read = 0;
    }

    /// Time passes.
    pub(super) fn later(&self, ms: u64) {
        self.lock().now += ms * 1_000_000;
    }

    /// An attempt of this client, whose fate is known now. Returns its event.
    pub(super) fn fails(&self, client: ClientAddr, service: Service, evidence: Evidence) -> Event {
        let mut inside = self.lock();
        inside.now += 1_000_000;
        let now = inside.now;
        let state = inside.services.get(&service).copied().unwrap_or_default();
        let event = Event {
            kind: EventKind::Failed,
            evidence,
            client: Addr::from(client.ip()),
            server: Addr::from(service.addr()),
            seen_ns: now,
            latest_ns: now,
            at_ns: now,
            answered_syn_ns: state.last_answer_ns,
            silent_from_ns: 0,
            silent_to_ns: 0,
            client_port: 40_000,
            server_port: service.port(),
            attempts: u32::from(evidence != Evidence::KnownFailed),
            standing: state.flags,
            ifindex: 0,
            answers: state.answers,
            seq: 1,
        };
        inside.ring.push_back(event);
        drop(inside);
        self.0.1.notify_one();
        event
    }

    /// The service answers this client; who has marked it failed is told.
    pub(super) fn answers(&self, service: Service, client: ClientAddr) {
        let mut inside = self.lock();
        inside.now += 1_000_000;
        inside.answered(service);
        let state = inside.services[&service];
        if state.failed_ns == 0 {
            return;
        }
        let event = Event {
            kind: EventKind::Answered,
            evidence: Evidence::SynAck,
            client: Addr::from(client.ip()),
            server: Addr::from(service.addr()),
            seen_ns: state.last_answer_ns,
            latest_ns: state.last_answer_ns,
            at_ns: state.last_answer_ns,
            answered_syn_ns: state.last_answer_ns,
            silent_from_ns: 0,
            silent_to_ns: 0,
            client_port: 40_000,
            server_port: service.port(),
            attempts: 0,
            standing: state.flags,
            ifindex: 0,
            answers: state.answers,
            seq: 1,
        };
        inside.ring.push_back(event);
        drop(inside);
        self.0.1.notify_one();
    }

    /// The marks that the core has set and taken back, in order.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let of_mark = |done: &Done| if let Done::Marked(mark, _) = done { Some(*mark) } else { None };
        self.lock().done.iter().filter_map(of_mark).collect()
    }

    pub(super) fn is_marked(&self, service: Service) -> bool {
        self.lock().services.get(&service).is_some_and(|state| state.failed_ns != 0)
    }
}

impl Inside {
    fn answered(&mut self, service: Service) {
        let now = self.now;
        let state = self.services.entry(service).or_default();
        state.last_answer_ns = now;
        state.answers += 1;
        state.flags |= ServiceFlags::ANSWERED;
    }

    /// As when the process is killed here: nothing of the core goes on.
    fn die(&mut self, here: Death) {
        if self.dies == Some(here) {
            self.dies = None;
            std::panic::resume_unwind(Box::new("killed"));
        }
    }
}

impl KernelPort for World {
    fn maps_id(&self) -> Result<u64, KernelError> {
        Ok(self.lock().maps_id)
    }

    fn mark(&mut self, mark: Mark) -> Result<(), KernelError> {
        let witness = self.lock().witness.clone();
        let open = witness.map(|store| {
            let looking = async move { store.outages(false, 100).await };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(looking)).unwrap_or_default()
        });
        let open = open.into_iter().flatten().map(|record| record.outage.service).collect();
        let mut inside = self.lock();
        inside.die(Death::BeforeMarks);
        inside.now += 1_000_000;
        match mark {
            Mark::Failed(service) => {
                if inside.answers_before_mark.take_if(|answers| *answers == service).is_some() {
                    inside.answered(service);
                    inside.now += 1_000_000;
                }
                let now = inside.now;
                inside.services.entry(service).or_default().failed_ns = now;
            }
            Mark::Recovered(service) | Mark::Ended { service, .. } => {
                inside.services.entry(service).or_default().failed_ns = 0;
            }
            Mark::HostFailed(host) => drop(inside.hosts.insert(host)),
            Mark::HostRecovered(host) => drop(inside.hosts.remove(&host)),
        }
        // When an outage ended is the machine's tests' matter.
        let mark = if let Mark::Ended { service, .. } = mark { Mark::Recovered(service) } else { mark };
        inside.done.push(Done::Marked(mark, open));
        Ok(())
    }

    fn marks_beyond(&self, failed: &[Service]) -> Result<Vec<Mark>, KernelError> {
        let inside = self.lock();
        let stale = inside.services.iter().filter(|(service, state)| state.failed_ns != 0 && !failed.contains(service));
        Ok(stale.map(|(service, _)| Mark::Recovered(*service)).collect())
    }

    fn remember_services(&mut self, learned: &[Service]) -> Result<(), KernelError> {
        let mut inside = self.lock();
        for service in learned {
            inside.services.entry(*service).or_default().flags |= ServiceFlags::ANSWERED;
        }
        Ok(())
    }

    fn services(&self) -> Result<Vec<(Service, ServiceState)>, KernelError> {
        Ok(self.lock().services.iter().map(|(service, state)| (*service, *state)).collect())
    }

    fn service(&self, service: Service) -> Result<Option<ServiceState>, KernelError> {
        Ok(self.lock().services.get(&service).copied())
    }

    fn forget(&mut self, service: Service) -> Result<(), KernelError> {
        self.lock().services.remove(&service);
        Ok(())
    }

    fn has_unmatched_answer(&self, _: &Question) -> Result<bool, KernelError> {
        Ok(false)
    }

    fn count(&self, _: Counter) -> Result<u64, KernelError> {
        Ok(0)
    }

    fn counters(&self) -> Result<Vec<(Counter, u64)>, KernelError> {
        Ok(Vec::new())
    }

    fn unwatched(&self) -> &[Unwatched] {
        &[]
    }

    async fn tend(&mut self) {}

    fn attached(&self) -> &[Attached] {
        &[]
    }

    fn is_local(&self, addr: IpAddr) -> bool {
        addr == IpAddr::from([127, 0, 0, 1])
    }

    fn flush_log(&mut self) {}

    fn rest(&mut self) -> Result<(), KernelError> {
        Ok(())
    }

    async fn reload(&mut self, _: &Watch) -> Result<(), KernelError> {
        if self.lock().refuses_reload { Err(KernelError::Interfaces("none".to_owned())) } else { Ok(()) }
    }
}

impl EventSource for World {
    async fn batch(&mut self, limit: usize) -> Result<Vec<Event>, KernelError> {
        loop {
            let batch = self.take(limit);
            if !batch.is_empty() {
                return Ok(batch);
            }
            self.0.1.notified().await;
        }
    }

    fn take(&mut self, limit: usize) -> Vec<Event> {
        let mut inside = self.lock();
        let batch: Vec<_> = inside.ring.iter().skip(inside.read).take(limit).copied().collect();
        inside.read += batch.len();
        batch
    }

    fn position(&self) -> u64 {
        let inside = self.lock();
        (inside.released + inside.read) as u64
    }

    fn skip_to(&mut self, position: u64) {
        let mut inside = self.lock();
        inside.read = usize::try_from(position).unwrap_or(0).saturating_sub(inside.released);
    }

    fn release(&mut self) {
        let mut inside = self.lock();
        inside.die(Death::BeforeRelease);
        let read = std::mem::take(&mut inside.read);
        if read > 0 {
            inside.ring.drain(..read);
            inside.released += read;
            inside.done.push(Done::Released(read));
        }
    }

    fn unreadable(&self) -> u64 {
        0
    }
}

impl Clock for World {
    fn wall(&self) -> UnixMs {
        self.offset().unix(MonotonicNs(self.lock().now))
    }

    fn offset(&self) -> ClockOffset {
        let adopted = self.lock().adopted;
        ClockOffset::from_nanoseconds(if adopted == 0 { BOOT.0 * 1_000_000 } else { adopted })
    }

    fn reading(&self) -> Option<ClockReading> {
        let inside = self.lock();
        let ahead = ClockOffset::from_nanoseconds((BOOT.0 + inside.set_ahead) * 1_000_000);
        Some(ClockReading { boot: "this one".to_owned(), ahead, at: MonotonicNs(inside.now) })
    }

    fn adopt(&self, ahead: ClockOffset) {
        self.lock().adopted = ahead.nanoseconds();
    }
}
