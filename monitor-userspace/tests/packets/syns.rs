//! SYNs and the passing of time.

use std::time::Duration;

use monitor_common::{Counter, EventKind, Evidence, ServiceFlags, step};
use monitor_core::{config::Watch, domain::MonotonicNs, outage::Mark};
use ringback::clock::Now as _;

use crate::{
    Bed,
    frame::{ACK, RST, SYN, Tcp},
    service, watch,
};

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
    // That its client goes on is no second attempt.
    let again = bed.take();
    assert_eq!(again.iter().map(|event| event.attempts).collect::<Vec<_>>(), [0]);
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
async fn a_syn_to_a_failed_service_is_hinted_at_once_and_has_its_fate_like_any_other() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    let syn = Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes();
    bed.arrives(&syn);
    let hint = bed.take()[0];
    assert_eq!((hint.evidence, hint.attempts, hint.latest_ns), (Evidence::KnownFailed, 0, hint.at_ns));
    // Its repetition says that its client goes on.
    bed.arrives(&syn);
    let again = bed.take()[0];
    assert_eq!((again.evidence, again.attempts), (Evidence::KnownFailed, 0));
    assert_eq!(step(again.seen_ns), step(hint.seen_ns));
    assert!(again.latest_ns > hint.latest_ns);
    // Another attempt of the same client is one of its own.
    bed.arrives(&Tcp::syn("10.0.1.5", 4001, "10.0.2.7", 80, 10).bytes());
    assert_eq!(bed.events(), [(EventKind::Failed, Evidence::KnownFailed)]);
    for port in [4000, 4001] {
        let fate = bed.next().await;
        assert_eq!((fate.evidence, fate.attempts, fate.client_port), (Evidence::Unanswered, 1, port));
    }
    // It goes on after that too, and is reported as such.
    bed.arrives(&syn);
    assert_eq!(bed.next().await.attempts, 0);
    assert_eq!(bed.count(Counter::Attempts), 2);
}

// proves: F-4
#[tokio::test]
async fn the_fate_of_a_syn_is_said_also_when_its_mark_is_gone_by_then() {
    for answers in [false, true] {
        let mut bed = Bed::new();
        bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
        bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes());
        assert_eq!(bed.events(), [(EventKind::Failed, Evidence::KnownFailed)]);
        bed.kernel.mark(Mark::Recovered(service("10.0.2.7:80"))).unwrap();
        if answers {
            let other = Tcp::syn("10.0.1.6", 4000, "10.0.2.7", 80, 9);
            bed.arrives(&other.bytes());
            bed.arrives(&other.answer(SYN | ACK).bytes());
            assert_eq!(bed.events(), [(EventKind::Learned, Evidence::SynAck)]);
        }
        assert_eq!(bed.next().await.evidence, Evidence::Unanswered, "the daemon judges: {answers}");
    }
}

// proves: F-12
#[tokio::test]
async fn an_attempt_that_began_before_the_end_of_an_outage_is_the_daemons_to_judge() {
    for ended in [false, true] {
        let mut bed = Bed::new();
        bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes());
        tokio::time::sleep(Duration::from_millis(2)).await;
        let other = Tcp::syn("10.0.1.6", 4000, "10.0.2.7", 80, 9);
        bed.arrives(&other.bytes());
        bed.arrives(&other.answer(SYN | ACK).bytes());
        bed.events();
        if ended {
            let mark = Mark::Ended {
                service: service("10.0.2.7:80"),
                until: MonotonicNs::now(),
                report_until: MonotonicNs::default(),
            };
            bed.kernel.mark(mark).unwrap();
            assert_eq!(bed.next().await.evidence, Evidence::Unanswered);
        } else {
            bed.counted(Counter::Isolated, 1).await;
            assert_eq!(bed.events(), []);
        }
    }
}

#[tokio::test]
async fn an_attempt_of_a_new_outage_is_not_hidden_by_one_of_an_old_one() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    bed.arrives(&Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes());
    bed.kernel.mark(Mark::Recovered(service("10.0.2.7:80"))).unwrap();
    bed.events();
    let syn = Tcp::syn("10.0.1.5", 4001, "10.0.2.7", 80, 10);
    bed.arrives(&syn.bytes());
    bed.arrives(&syn.answer(RST | ACK).bytes());
    assert_eq!(bed.events(), [(EventKind::Failed, Evidence::Refused)]);
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
