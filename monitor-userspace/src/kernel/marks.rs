//! What the programs are told: which services and hosts are failed, and which services had answered before.

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
            let request = MarkRequest { key: key(service), failed_ns: 0, set: ServiceFlags::ANSWERED, clear: 0 };
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
                self.mark_service(service, MonotonicNs::now().0)
            }
            Mark::Recovered(service) => {
                if let Some(stand_in) = &mut self.stand_in {
                    stand_in.recovered(service);
                }
                self.mark_service(service, 0)
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

    fn mark_service(&mut self, service: Service, failed_ns: u64) -> Result<(), KernelError> {
        // The mark makes an entry for a service that never answered: it must not lose that it is listed.
        let listed = config::standing(&self.watched, service) == Some(true);
        let set = if listed { ServiceFlags::LISTED } else { 0 };
        let request = MarkRequest { key: key(service), failed_ns, set, clear: 0 };
        match Outcome::of(self.run(program::MARK, &request.frame())?) {
            Outcome::Done => Ok(()),
            Outcome::NotDone => Err(KernelError::ServicesFull(service)),
        }
    }

    fn hosts(&mut self) -> Result<HashMap<&mut MapData, Addr, HostState>, KernelError> {
        let map = self.ebpf.map_mut(map::HOSTS).ok_or(KernelError::MapMissing(map::HOSTS))?;
        map.try_into().map_err(|source| KernelError::map(map::HOSTS, source))
    }
}
