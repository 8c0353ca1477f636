//! Services as the kernel's tables name them, and which of them to forget when their table fills (pure).

use std::net::IpAddr;

use monitor_common::{Addr, ServiceFlags, ServiceKey, ServiceState};
use monitor_core::domain::Service;

/// The service that a key names.
pub(super) fn service(key: &ServiceKey) -> Service {
    Service::new(IpAddr::from(key.addr), key.port)
}

/// The key of a service.
pub(super) fn key(service: Service) -> ServiceKey {
    ServiceKey::new(Addr::from(service.addr()), service.port())
}

/// The services to forget so that new ones find room: when less than an eighth of the table is free, those whose last
/// answer is the oldest, until a quarter is. What is failed or listed stays.
#[must_use]
pub fn surplus(services: &[(Service, ServiceState)], capacity: usize) -> Vec<Service> {
    if services.len() <= capacity / 8 * 7 {
        return Vec::new();
    }
    let mut learned: Vec<_> = services
        .iter()
        .filter(|(_, state)| state.failed_ns == 0 && state.flags & ServiceFlags::LISTED == 0)
        .map(|(service, state)| (state.last_answer_ns, *service))
        .collect();
    learned.sort_unstable_by_key(|(answered, _)| *answered);
    learned.truncate(services.len() - capacity / 4 * 3);
    learned.into_iter().map(|(_, service)| service).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{Service, ServiceFlags, ServiceState, surplus};

    #[test]
    fn the_ones_that_answered_longest_ago_make_room() {
        let service = |number: u32| Service::new(Ipv4Addr::from(number).into(), 80);
        let entry = |number: u32| {
            let last_answer_ns = 1 + u64::from(number);
            let flags = ServiceFlags::ANSWERED;
            (service(number), ServiceState { last_answer_ns, flags, answers: 1, ..ServiceState::default() })
        };
        let mut services: Vec<_> = (0..16).rev().map(entry).collect();
        assert_eq!(surplus(&services[..14], 16), []);
        // Never answered on this path since the start: the oldest of all.
        services[0].1.last_answer_ns = 0;
        services[15].1.failed_ns = 1;
        services[14].1.flags |= ServiceFlags::LISTED;
        assert_eq!(surplus(&services, 16), [service(15), service(2), service(3), service(4)]);
    }
}
