//! ICMP and ICMPv6 unreachable: what is quoted must be an attempt that was seen.

use monitor_common::{Counter, EventKind, Evidence};

use crate::{Bed, frame::Tcp};

const V4: [(u8, Option<Evidence>); 9] = [
    (0, Some(Evidence::NetUnreachable)),
    (1, Some(Evidence::HostUnreachable)),
    (2, Some(Evidence::PortUnreachable)),
    (3, Some(Evidence::PortUnreachable)),
    (4, None),
    (6, Some(Evidence::NetUnreachable)),
    (7, Some(Evidence::HostUnreachable)),
    (8, None),
    (13, Some(Evidence::Prohibited)),
];

const V6: [(u8, Option<Evidence>); 6] = [
    (0, Some(Evidence::NetUnreachable)),
    (1, Some(Evidence::Prohibited)),
    (3, Some(Evidence::HostUnreachable)),
    (4, Some(Evidence::PortUnreachable)),
    (6, Some(Evidence::NetUnreachable)),
    (7, None),
];

// proves: F-2a F-2b
#[tokio::test]
async fn each_code_is_the_evidence_that_its_rfc_says() {
    let v4 = (V4.as_slice(), "10.0.1.5", "10.0.2.7", 28);
    let v6 = (V6.as_slice(), "fd00:1::5", "fd00::7", 48);
    for (codes, client, server, quoted) in [v4, v6] {
        for (code, evidence) in codes {
            for egress in [false, true] {
                let mut bed = Bed::new();
                let syn = Tcp::syn(client, 4000, server, 80, 9);
                bed.arrives(&syn.bytes());
                let icmp = syn.unreachable(*code, quoted);
                if egress {
                    bed.leaves(&icmp);
                } else {
                    bed.arrives(&icmp);
                };
                let expected: Vec<_> = evidence.iter().map(|evidence| (EventKind::Failed, *evidence)).collect();
                assert_eq!(bed.events(), expected, "code {code} for {client}");
            }
        }
    }
}

// proves: F-2a F-2b
#[tokio::test]
async fn a_quote_that_matches_no_attempt_is_only_counted() {
    let mut bed = Bed::new();
    let syn = Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9);
    bed.arrives(&syn.bytes());
    for forged in [Tcp { seq: 8, ..syn.clone() }, Tcp { sport: 4001, ..syn.clone() }, Tcp { dport: 81, ..syn.clone() }]
    {
        bed.arrives(&forged.unreachable(1, 28));
    }
    assert_eq!((bed.count(Counter::UnreachablesUnmatched), bed.events().len()), (3, 0));
    for cut in [0, 10, 20, 27] {
        bed.arrives(&syn.unreachable(1, cut));
    }
    assert_eq!((bed.count(Counter::Malformed), bed.events().len()), (4, 0));
}

#[tokio::test]
async fn icmp_after_the_time_out_is_more_evidence() {
    let mut bed = Bed::new();
    let syn = Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9);
    bed.arrives(&syn.bytes());
    assert_eq!(bed.next().await.evidence, Evidence::Unanswered);
    bed.arrives(&syn.unreachable(1, 28));
    let event = bed.next().await;
    assert_eq!((event.evidence, event.attempts), (Evidence::HostUnreachable, 0));
    bed.arrives(&syn.unreachable(1, 28));
    assert_eq!(bed.events(), []);
}
