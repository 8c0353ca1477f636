//! What the core needs of the kernel: [`Kernel`] and [`Events`] here, fakes in the core's tests.

use std::net::IpAddr;

use monitor_common::{Counter, Event, ServiceState};
use monitor_core::{
    config::Watch,
    domain::Service,
    outage::{Mark, Question},
};

use super::{Attached, Events, Kernel, KernelError, Unwatched, local_addresses};

/// The programs and their maps.
pub trait KernelPort {
    /// Which set of maps this is, and with it which ring buffer: another number after each restart of the machine.
    fn maps_id(&self) -> Result<u64, KernelError>;

    /// Tells the programs what is failed and what is not.
    fn mark(&mut self, mark: Mark) -> Result<(), KernelError>;

    /// What takes back the marks of services, and of hosts, that have no outage among these services any more.
    fn marks_beyond(&self, failed: &[Service]) -> Result<Vec<Mark>, KernelError>;

    /// Makes known what had answered before a restart of the machine (design rule 3).
    fn remember_services(&mut self, learned: &[Service]) -> Result<(), KernelError>;

    /// Every service in the kernel's table.
    fn services(&self) -> Result<Vec<(Service, ServiceState)>, KernelError>;

    /// What is known of one service.
    fn service(&self, service: Service) -> Result<Option<ServiceState>, KernelError>;

    /// Forgets a service that is not failed, to make room.
    fn forget(&mut self, service: Service) -> Result<(), KernelError>;

    /// Whether the answer of just this SYN passed, and its SYN did not.
    fn has_unmatched_answer(&self, question: &Question) -> Result<bool, KernelError>;

    /// One counter, summed over the CPUs.
    fn count(&self, counter: Counter) -> Result<u64, KernelError>;

    /// Every counter, summed over the CPUs.
    fn counters(&self) -> Result<Vec<(Counter, u64)>, KernelError>;

    /// Where the programs are attached, and how.
    fn attached(&self) -> &[Attached];

    /// Which interfaces are to be watched and are not.
    fn unwatched(&self) -> &[Unwatched];

    /// Puts the programs where they are to be. To be called each second.
    fn tend(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether this host has the address.
    fn is_local(&self, addr: IpAddr) -> bool;

    /// Passes on what the programs have to say; seldom anything.
    fn flush_log(&mut self);

    /// Takes off the interfaces what nobody needs any more. To be called now and then.
    fn rest(&mut self) -> Result<(), KernelError>;

    /// Goes on with other settings: watch list, time-out, interfaces.
    fn reload(&mut self, watch: &Watch) -> impl Future<Output = Result<(), KernelError>> + Send;
}

/// What the programs report.
pub trait EventSource {
    /// Waits for events and takes up to `limit` of them. Cancel-safe: an event is taken whole or not at all.
    fn batch(&mut self, limit: usize) -> impl Future<Output = Result<Vec<Event>, KernelError>> + Send;

    /// Takes up to `limit` events that are there now.
    fn take(&mut self, limit: usize) -> Vec<Event>;

    /// Up to where events are taken.
    fn position(&self) -> u64;

    /// Passes over what was taken up to there before.
    fn skip_to(&mut self, position: u64);

    /// Lets go of what was taken: it is in the store, and not given to anybody again.
    fn release(&mut self);

    /// Records of another layout, which were counted and never acted on.
    fn unreadable(&self) -> u64;
}

impl KernelPort for Kernel {
    fn maps_id(&self) -> Result<u64, KernelError> {
        Self::maps_id(self)
    }

    fn mark(&mut self, mark: Mark) -> Result<(), KernelError> {
        Self::mark(self, mark)
    }

    fn marks_beyond(&self, failed: &[Service]) -> Result<Vec<Mark>, KernelError> {
        Self::marks_beyond(self, failed)
    }

    fn remember_services(&mut self, learned: &[Service]) -> Result<(), KernelError> {
        Self::remember_services(self, learned.iter().copied())
    }

    fn services(&self) -> Result<Vec<(Service, ServiceState)>, KernelError> {
        Self::services(self)
    }

    fn service(&self, service: Service) -> Result<Option<ServiceState>, KernelError> {
        Self::service(self, service)
    }

    fn forget(&mut self, service: Service) -> Result<(), KernelError> {
        Self::forget(self, service)
    }

    fn has_unmatched_answer(&self, question: &Question) -> Result<bool, KernelError> {
        Self::has_unmatched_answer(self, question)
    }

    fn count(&self, counter: Counter) -> Result<u64, KernelError> {
        Self::count(self, counter)
    }

    fn counters(&self) -> Result<Vec<(Counter, u64)>, KernelError> {
        Self::counters(self)
    }

    fn unwatched(&self) -> &[Unwatched] {
        Self::unwatched(self)
    }

    async fn tend(&mut self) {
        Self::tend(self).await;
    }

    fn attached(&self) -> &[Attached] {
        Self::attached(self)
    }

    fn is_local(&self, addr: IpAddr) -> bool {
        local_addresses().contains(&addr)
    }

    fn flush_log(&mut self) {
        Self::flush_log(self);
    }

    fn rest(&mut self) -> Result<(), KernelError> {
        Self::rest(self)
    }

    async fn reload(&mut self, watch: &Watch) -> Result<(), KernelError> {
        Self::reload(self, watch).await
    }
}

impl EventSource for Events {
    async fn batch(&mut self, limit: usize) -> Result<Vec<Event>, KernelError> {
        Self::batch(self, limit).await
    }

    fn take(&mut self, limit: usize) -> Vec<Event> {
        Self::take(self, limit)
    }

    fn position(&self) -> u64 {
        Self::position(self)
    }

    fn skip_to(&mut self, position: u64) {
        Self::skip_to(self, position);
    }

    fn release(&mut self) {
        Self::release(self);
    }

    fn unreadable(&self) -> u64 {
        self.unreadable
    }
}
