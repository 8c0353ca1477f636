//! What the programs are told: which services and hosts are failed, and which services had answered before.

use std::net::IpAddr;

use aya::maps::{HashMap, MapData};
use monitor_common::{Addr, HostState, MarkRequest, Outcome, ServiceFlags, map, program};
use monitor_core::{
    config,
    domain::{MonotonicNs, Service},
    outage::Mark,
};

use super::{Kernel, error::KernelError, services::key};
use crate::clock::Now as _;

impl Kernel {
    /// Makes known what had answered before a restart of the machine (design rule 3).
    pub fn remember_services(&mut self, learned: impl IntoIterator<Item = Service>) -> Result<(), KernelError> {
        for service in learned {
            let request = MarkRequest { key: key(service), set: ServiceFlags::ANSWERED, ..MarkRequest::default() };
            if self.service(service)?.is_none() {
                self.run(program::MARK, &request.frame())?;
            }
        }
        Ok(())
    }

    /// Tells the programs what is failed and what is not.
    pub fn mark(&mut self, mark: Mark) -> Result<(), KernelError> {
        match mark {
            Mark::Failed(service) => {
                if let Some(stand_in) = &mut self.stand_in
                    && let Err(error) = stand_in.failed(&mut self.ebpf, service)
                {
                    tracing::error!(%service, %error, "the stand-in page is not shown to everybody");
                }
                self.mark_service(service, MarkRequest { failed_ns: MonotonicNs::now().0, ..MarkRequest::default() })
            }
            Mark::Recovered(service) => self.unmark(service, MarkRequest::default()),
            Mark::Ended { service, until, report_until } => {
                let request =
                    MarkRequest { ended_ns: until.0, report_until_ns: report_until.0, ..MarkRequest::default() };
                self.unmark(service, request)
            }
            Mark::HostFailed(host) => {
                let state = HostState::default();
                self.hosts()?.insert(Addr::from(host), state, 0).map_err(|source| KernelError::map(map::HOSTS, source))
            }
            Mark::HostRecovered(host) => match self.hosts()?.remove(&Addr::from(host)) {
                Ok(()) | Err(aya::maps::MapError::KeyNotFound) => Ok(()),
                Err(source) => Err(KernelError::map(map::HOSTS, source)),
            },
        }
    }

    fn unmark(&mut self, service: Service, request: MarkRequest) -> Result<(), KernelError> {
        if let Some(stand_in) = &mut self.stand_in {
            stand_in.recovered(service);
        }
        self.mark_service(service, request)
    }

    fn mark_service(&mut self, service: Service, request: MarkRequest) -> Result<(), KernelError> {
        // The mark makes an entry for a service that never answered: it must not lose that it is listed.
        let listed = config::standing(&self.watched, service) == Some(true);
        let set = if listed { ServiceFlags::LISTED } else { 0 };
        let request = MarkRequest { key: key(service), set, ..request };
        match Outcome::of(self.run(program::MARK, &request.frame())?) {
            Outcome::Done => Ok(()),
            Outcome::NotDone => Err(KernelError::ServicesFull(service)),
        }
    }

    /// What takes back the marks of services, and of hosts, that have no outage among these services any more: an
    /// earlier daemon closed it and did not live to say so.
    pub fn marks_beyond(&self, failed: &[Service]) -> Result<Vec<Mark>, KernelError> {
        let mut marks: Vec<_> = self
            .services()?
            .into_iter()
            .filter(|(service, state)| state.failed_ns != 0 && !failed.contains(service))
            .map(|(service, _)| Mark::Recovered(service))
            .collect();
        let hosts = self.ebpf.map(map::HOSTS).ok_or(KernelError::MapMissing(map::HOSTS))?;
        let hosts: HashMap<&MapData, Addr, HostState> =
            hosts.try_into().map_err(|source| KernelError::map(map::HOSTS, source))?;
        for host in hosts.keys() {
            let host = IpAddr::from(host.map_err(|source| KernelError::map(map::HOSTS, source))?);
            if !failed.iter().any(|service| service.addr() == host) {
                marks.push(Mark::HostRecovered(host));
            }
        }
        Ok(marks)
    }

    fn hosts(&mut self) -> Result<HashMap<&mut MapData, Addr, HostState>, KernelError> {
        let map = self.ebpf.map_mut(map::HOSTS).ok_or(KernelError::MapMissing(map::HOSTS))?;
        map.try_into().map_err(|source| KernelError::map(map::HOSTS, source))
    }
}
