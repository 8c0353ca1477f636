//! The kernel's table of services, as the daemon reads it and makes room in it.

use aya::maps::{HashMap, MapData, MapError};
use monitor_common::{ServiceKey, ServiceState, map};
use monitor_core::domain::{MonotonicNs, Service, UnixMs};

use super::{
    Kernel,
    error::KernelError,
    services::{self, key},
};

impl Kernel {
    /// The services to forget so that new ones find room: when less than an eighth of the table is free, those whose last
    /// answer is the oldest, until a quarter is. What is failed or listed stays.
    #[must_use]
    pub fn surplus(services: &[(Service, Option<UnixMs>, ServiceState)]) -> Vec<Service> {
        services::surplus(services, map::SERVICES_ENTRIES)
    }

    /// When the service last answered, if it did so after `seen`, or after it had answered `answers` times.
    pub fn answer_since(
        &self,
        service: Service,
        seen: MonotonicNs,
        answers: u32,
    ) -> Result<Option<MonotonicNs>, KernelError> {
        let since = |state: &ServiceState| state.answers != answers || state.last_answer_ns >= seen.0;
        let state = self.service(service)?.filter(|state| state.last_answer_ns != 0 && since(state));
        Ok(state.map(|state| MonotonicNs(state.last_answer_ns)))
    }

    /// Every service in the kernel's table, with the time of its last answer on this path.
    pub fn services(&self) -> Result<Vec<(Service, Option<UnixMs>, ServiceState)>, KernelError> {
        let services = self.services_map()?;
        services
            .iter()
            .map(|entry| {
                let (key, state) = entry.map_err(|source| KernelError::map(map::SERVICES, source))?;
                let answered = (state.last_answer_ns != 0).then(|| self.clock.unix(MonotonicNs(state.last_answer_ns)));
                Ok((services::service(&key), answered, state))
            })
            .collect()
    }

    /// Forgets a service that is not failed, to make room.
    pub fn forget(&mut self, service: Service) -> Result<(), KernelError> {
        let map = self.ebpf.map_mut(map::SERVICES).ok_or(KernelError::MapMissing(map::SERVICES))?;
        let mut services: HashMap<&mut MapData, ServiceKey, ServiceState> =
            map.try_into().map_err(|source| KernelError::map(map::SERVICES, source))?;
        match services.remove(&key(service)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(source) => Err(KernelError::map(map::SERVICES, source)),
        }
    }

    pub(super) fn service(&self, service: Service) -> Result<Option<ServiceState>, KernelError> {
        match self.services_map()?.get(&key(service), 0) {
            Ok(state) => Ok(Some(state)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(KernelError::map(map::SERVICES, source)),
        }
    }

    fn services_map(&self) -> Result<HashMap<&MapData, ServiceKey, ServiceState>, KernelError> {
        let map = self.ebpf.map(map::SERVICES).ok_or(KernelError::MapMissing(map::SERVICES))?;
        map.try_into().map_err(|source| KernelError::map(map::SERVICES, source))
    }
}
