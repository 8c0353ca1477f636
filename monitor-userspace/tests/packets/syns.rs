//! SYNs and the passing of time.

use std::time::Duration;

use monitor_common::{Counter, EventKind, Evidence, ServiceFlags};
use monitor_core::{config::Watch, outage::Mark};

use crate::{Bed, frame::Tcp, service, watch};

// proves: F-3a
#[tokio::test]
async fn a_syn_that_nobody_answers_is_reported_when_its_time_is_up() {
    for (client, server) in [("10.0.1.5", "10.0.2.7"), ("fd00:1::5", "fd00::7")] {
        let mut bed = Bed::new();
        bed.arrives(&Tcp::syn(client, 4000, server, 80, 9).bytes());
        assert_eq!(bed.events(), []);
        let event = bed.next().await;
        assert_eq!((event.kind, event.evidence), (EventKind::Failed, Evidence::Unanswered));
        assert_eq!((event.client_port, event.server_port, event.attempts), (4000, 80, 1));
        assert_eq!(std::net::IpAddr::from(event.client), client.parse::<std::net::IpAddr>().unwrap());
        assert_eq!(std::net::IpAddr::from(event.server), server.parse::<std::net::IpAddr>().unwrap());
        assert!(event.at_ns - event.seen_ns >= 30_000_000);
        assert_eq!(event.standing, ServiceFlags::LISTED);
        assert_eq!((bed.count(Counter::Attempts), bed.count(Counter::Expired)), (1, 1));
    }
}

// proves: F-3a
#[tokio::test]
async fn retransmissions_are_one_attempt_and_one_report() {
    let mut bed = Bed::new();
    let syn = Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes();
    for _ in 0..3 {
        bed.arrives(&syn);
    }
    bed.next().await;
    bed.arrives(&syn);
    bed.counted(Counter::Retransmits, 3).await;
    assert_eq!(bed.events(), []);
    assert_eq!(bed.count(Counter::Attempts), 1);
}

#[tokio::test]
async fn what_nobody_has_ever_answered_is_only_counted_unless_it_is_listed() {
    let mut bed = Bed::new();
    bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 81, 9).bytes());
    bed.counted(Counter::UnknownService, 1).await;
    assert_eq!(bed.events(), []);
}

#[tokio::test]
async fn an_address_that_is_not_watched_costs_no_slot() {
    let bed = Bed::with(&Watch { servers: vec!["10.0.2.7:80".parse().unwrap()], ..watch() });
    bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.8", 80, 9).bytes());
    bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 81, 9).bytes());
    assert_eq!(bed.count(Counter::Attempts), 0);
}

// proves: F-4
#[tokio::test]
async fn a_syn_to_a_failed_service_is_reported_at_once_and_its_repetitions_are_not() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    let syn = Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes();
    bed.arrives(&syn);
    assert_eq!(bed.events(), [(EventKind::Failed, Evidence::KnownFailed)]);
    bed.arrives(&syn);
    assert_eq!(bed.events(), []);
    // Another client is reported at once, another attempt of the same client is counted first.
    bed.arrives(&Tcp::syn("10.0.1.6", 4000, "10.0.2.7", 80, 9).bytes());
    bed.arrives(&Tcp::syn("10.0.1.5", 4001, "10.0.2.7", 80, 10).bytes());
    assert_eq!(bed.events(), [(EventKind::Failed, Evidence::KnownFailed)]);
    assert_eq!(bed.count(Counter::ReportsFolded), 1);
    tokio::time::sleep(Duration::from_millis(210)).await;
    bed.arrives(&Tcp::syn("10.0.1.5", 4002, "10.0.2.7", 80, 11).bytes());
    assert_eq!(bed.next().await.attempts, 2);
}

#[tokio::test]
async fn the_begin_of_a_new_outage_is_not_hidden_by_the_report_of_an_old_one() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes());
    bed.kernel.mark(Mark::Recovered(service("10.0.2.7:80"))).unwrap();
    bed.events();
    let syn = Tcp::syn("10.0.1.5", 4001, "10.0.2.7", 80, 10);
    bed.arrives(&syn.bytes());
    bed.arrives(&syn.answer(crate::frame::RST | crate::frame::ACK).bytes());
    assert_eq!(bed.events(), [(EventKind::Failed, Evidence::Refused)]);
}

#[tokio::test]
async fn the_reports_of_an_old_outage_do_not_fold_those_of_a_new_one() {
    let mut bed = Bed::new();
    for seq in 1..3 {
        bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
        bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, seq).bytes());
        assert_eq!(bed.events(), [(EventKind::Failed, Evidence::KnownFailed)], "outage {seq}");
        bed.kernel.mark(Mark::Recovered(service("10.0.2.7:80"))).unwrap();
    }
}

#[tokio::test]
async fn when_every_deadline_is_taken_the_loss_is_counted() {
    let bed = Bed::with(&Watch { syn_timeout: Duration::from_secs(60), ..watch() });
    // Runs of the program go over the CPUs as the scheduler likes: more than all of them can hold.
    let cpus = std::thread::available_parallelism().unwrap().get();
    let attempts = u32::try_from(1024 * cpus + 200).unwrap();
    for n in 0..attempts {
        let client = format!("10.{}.{}.{}", 50 + n / 65536, n / 256 % 256, n % 256);
        bed.arrives(&Tcp::syn(&client, 4000, "10.0.2.7", 80, n).bytes());
    }
    assert!(bed.count(Counter::DeadlinesFull) + bed.count(Counter::PendingEvicted) >= 200);
    // Each is either remembered or lost.
    assert_eq!(bed.count(Counter::Attempts) + bed.count(Counter::DeadlinesFull), u64::from(attempts));
}
