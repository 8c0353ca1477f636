//! Hosts that speak, and the daemon's marks.

use std::{net::Ipv4Addr, sync::Mutex};

use monitor_common::{EventKind, Evidence, map};
use monitor_core::{domain::Service, outage::Mark};
use ringback::kernel::{KernelError, surplus};

use crate::{
    Bed,
    frame::{advertisement, arp},
};

// proves: F-11
#[tokio::test]
async fn arp_of_a_failed_host_is_reported_and_that_of_others_is_not() {
    for operation in [1, 2] {
        let mut bed = Bed::new();
        bed.arrives(&arp(operation, [10, 0, 2, 7], [10, 0, 2, 1]));
        bed.kernel.mark(Mark::HostFailed([10, 0, 2, 7].into())).unwrap();
        bed.arrives(&arp(operation, [10, 0, 2, 8], [10, 0, 2, 7]));
        bed.leaves(&arp(operation, [10, 0, 2, 7], [10, 0, 2, 1]));
        assert_eq!(bed.events(), []);
        bed.arrives(&arp(operation, [10, 0, 2, 7], [10, 0, 2, 1]));
        bed.arrives(&arp(operation, [10, 0, 2, 7], [10, 0, 2, 1]));
        assert_eq!(bed.events(), [(EventKind::HostSeen, Evidence::Arp)]);
        bed.kernel.mark(Mark::HostRecovered([10, 0, 2, 7].into())).unwrap();
        bed.arrives(&arp(operation, [10, 0, 2, 7], [10, 0, 2, 1]));
        assert_eq!(bed.events(), []);
    }
}

// proves: F-11
#[tokio::test]
async fn a_neighbour_advertisement_counts_only_from_the_link() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::HostFailed("fd00::7".parse().unwrap())).unwrap();
    bed.arrives(&advertisement("fd00::7", 64));
    bed.arrives(&advertisement("fd00::8", 255));
    assert_eq!(bed.events(), []);
    bed.arrives(&advertisement("fd00::7", 255));
    assert_eq!(bed.events(), [(EventKind::HostSeen, Evidence::NeighbourAdvertisement)]);
}

/// What the programs logged, through the process's logger.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn a_full_table_of_services_is_said_aloud_and_the_oldest_make_room() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let mut bed = Bed::new();
    let service = |number: usize| {
        let number = u32::try_from(number).unwrap();
        Service::new(Ipv4Addr::from(0x0a00_0000 + number).into(), 80)
    };
    bed.kernel.remember_services((0..map::SERVICES_ENTRIES).map(service)).unwrap();
    let one_more = service(map::SERVICES_ENTRIES);
    assert!(matches!(bed.kernel.mark(Mark::Failed(one_more)), Err(KernelError::ServicesFull(_))));
    bed.kernel.flush_log();
    assert_eq!(*LINES.0.lock().unwrap(), ["WARN the table of services has no room for a mark"]);
    let services = bed.kernel.services().unwrap();
    for service in surplus(&services, map::SERVICES_ENTRIES) {
        bed.kernel.forget(service).unwrap();
    }
    assert_eq!(bed.kernel.services().unwrap().len(), map::SERVICES_ENTRIES / 4 * 3);
    bed.kernel.mark(Mark::Failed(one_more)).unwrap();
}
