//! The kernel's table of services, as the daemon reads it and makes room in it.

use aya::maps::{HashMap, MapData, MapError};
use monitor_common::{ServiceKey, ServiceState, map};
use monitor_core::domain::Service;

use super::{
    Kernel,
    error::KernelError,
    services::{self, key},
};

impl Kernel {
    /// Every service in the kernel's table.
    pub fn services(&self) -> Result<Vec<(Service, ServiceState)>, KernelError> {
        let services = self.services_map()?;
        services
            .iter()
            .map(|entry| {
                let (key, state) = entry.map_err(|source| KernelError::map(map::SERVICES, source))?;
                Ok((services::service(&key), state))
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

    /// What is known of one service.
    pub fn service(&self, service: Service) -> Result<Option<ServiceState>, KernelError> {
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
