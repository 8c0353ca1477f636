//! Services as the kernel's tables name them.

use std::net::IpAddr;

use monitor_common::ServiceKey;

use crate::outage::Service;

/// The service that a key names.
pub(super) fn service(key: &ServiceKey) -> Service {
    Service::new(IpAddr::from(key.addr), key.port)
}
