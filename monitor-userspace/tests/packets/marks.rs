//! Hosts that speak, and the daemon's marks.

use monitor_common::{EventKind, Evidence};
use ringback::outage::Mark;

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
