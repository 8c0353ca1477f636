//! SYN/ACKs, RSTs and the client's own ACK.

use std::time::Duration;

use monitor_common::{Counter, EventKind, Evidence};
use monitor_core::{
    config::Watch,
    domain::{ClientAddr, MonotonicNs, UnixMs},
    outage::{Mark, Question},
    port::Clock as _,
};
use ringback::{
    clock::{Now as _, SystemClock},
    kernel::Kernel,
};

use crate::{
    Bed,
    frame::{ACK, FIN, RST, SYN, Tcp},
    service, watch,
};

fn syn() -> Tcp {
    Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, u32::MAX)
}

// proves: F-3a F-9a
#[tokio::test]
async fn an_answered_attempt_is_never_reported_and_its_service_is_learned_once() {
    for egress in [false, true] {
        let mut bed = Bed::new();
        for port in [4000, 4001] {
            let syn = Tcp { sport: port, ..syn() };
            bed.arrives(&syn.bytes());
            let answer = syn.answer(SYN | ACK).bytes();
            if egress {
                bed.leaves(&answer);
            } else {
                bed.arrives(&answer);
            };
        }
        assert_eq!(bed.count(Counter::Answers), 2);
        assert_eq!(bed.events(), [(EventKind::Learned, Evidence::SynAck)]);
        let state = bed.kernel.service(service("10.0.2.7:80")).unwrap().unwrap();
        assert!(state.last_answer_ns > 0 && state.answers > 0, "{state:?}");
        // A later attempt's deadline passes after theirs did.
        bed.arrives(&Tcp::syn("10.0.1.5", 4002, "10.0.2.9", 80, 1).bytes());
        bed.counted(Counter::UnknownService, 1).await;
        assert_eq!((bed.count(Counter::Expired), bed.events().len()), (1, 0));
    }
}

// proves: F-3a
#[tokio::test]
async fn only_the_sequence_number_plus_one_is_an_answer() {
    let mut bed = Bed::new();
    bed.arrives(&syn().bytes());
    for ack in [u32::MAX, 1, 7] {
        bed.arrives(&Tcp { ack, ..syn().answer(SYN | ACK) }.bytes());
    }
    bed.arrives(&Tcp { sport: 81, ..syn().answer(SYN | ACK) }.bytes());
    assert_eq!((bed.count(Counter::Answers), bed.count(Counter::AnswersUnmatched)), (0, 4));
    assert_eq!(bed.next().await.evidence, Evidence::Unanswered);
}

#[tokio::test]
async fn an_answer_to_a_client_that_was_chosen_to_collide_is_none() {
    let bed = Bed::new();
    let syn = Tcp::syn("fd00:1::5", 4000, "fd00::7", 80, 9);
    bed.arrives(&syn.bytes());
    // The two addresses differ in bits that a multiplication modulo 2^64 does not spread: with a hash made of those, they
    // are one flow whatever the seed.
    let other = Tcp::syn("fd00:1:0:80::80:0:85", 4000, "fd00::7", 80, 9);
    bed.arrives(&other.answer(SYN | ACK).bytes());
    assert_eq!((bed.count(Counter::Answers), bed.count(Counter::AnswersUnmatched)), (0, 1));
}

#[tokio::test]
async fn a_service_that_answered_somebody_after_the_syn_is_not_failed() {
    let mut bed = Bed::new();
    bed.arrives(&syn().bytes());
    // The kernel tells two SYNs apart that are a third of a millisecond apart.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let other = Tcp { sport: 4001, ..syn() };
    bed.arrives(&other.bytes());
    bed.arrives(&other.answer(SYN | ACK).bytes());
    bed.counted(Counter::Isolated, 1).await;
    assert_eq!(bed.events(), [(EventKind::Learned, Evidence::SynAck)]);
}

// proves: F-12
#[tokio::test]
async fn an_answer_of_a_failed_service_is_reported_with_its_client() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    bed.arrives(&syn().bytes());
    bed.arrives(&syn().answer(SYN | ACK).bytes());
    let events = bed.take();
    assert_eq!(events[1].kind, EventKind::Answered);
    assert_eq!(std::net::IpAddr::from(events[1].client), syn().src);
    // The SYN was only hinted at (F-4): there is nothing to take back.
    assert_eq!((events[0].attempts, events[1].attempts), (0, 0));
    assert_eq!(events[1].seen_ns >> 18, events[0].seen_ns >> 18);
    assert_eq!((events.len(), events[2].kind), (3, EventKind::Learned));
}

// proves: F-12
#[tokio::test]
async fn an_answer_takes_back_the_failure_that_was_reported_whether_or_not_the_service_is_marked() {
    for marked in [false, true] {
        let mut bed = Bed::new();
        bed.arrives(&syn().bytes());
        assert_eq!(bed.next().await.evidence, Evidence::Unanswered);
        if marked {
            bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
        }
        bed.arrives(&syn().answer(SYN | ACK).bytes());
        let said: Vec<_> = bed.take().iter().map(|event| (event.kind, event.attempts)).collect();
        // Also by the first answer that the service ever gives here.
        assert_eq!(said, [(EventKind::Answered, 1), (EventKind::Learned, 0)], "marked: {marked}");
    }
}

// proves: F-12
#[tokio::test]
async fn a_client_that_answers_the_answer_with_an_rst_had_given_up() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    bed.arrives(&syn().bytes());
    assert_eq!(bed.events(), [(EventKind::Failed, Evidence::KnownFailed)]);
    bed.arrives(&syn().answer(SYN | ACK).bytes());
    assert_eq!(bed.events()[0], (EventKind::Answered, Evidence::SynAck));
    let rst = Tcp { flags: RST, seq: syn().seq.wrapping_add(1), ack: 0, ..syn() };
    // Of another sequence number, or with ACK, it ends a connection that was there.
    bed.arrives(&Tcp { seq: rst.seq.wrapping_add(1), ..rst.clone() }.bytes());
    bed.arrives(&Tcp { flags: RST | ACK, ..rst.clone() }.bytes());
    assert_eq!(bed.events(), []);
    bed.arrives(&rst.bytes());
    bed.arrives(&rst.bytes());
    // It is said at the attempt's time-out, behind those who tried before.
    let fate = bed.next().await;
    assert_eq!((fate.evidence, fate.attempts), (Evidence::GaveUp, 1));
    // The server has not seen the RST, and answers once more: that takes nothing back.
    bed.arrives(&syn().answer(SYN | ACK).bytes());
    assert_eq!(bed.events(), []);
    assert_eq!(bed.count(Counter::GaveUp), 1);
}

// proves: F-12
#[tokio::test]
async fn a_late_answer_that_finds_its_client_gone_is_said_whether_or_not_the_service_is_marked() {
    for late in [false, true] {
        let mut bed = Bed::with(&Watch { syn_timeout: Duration::from_millis(1500), ..watch() });
        let other = Tcp { sport: 4001, ..syn() };
        bed.arrives(&other.bytes());
        bed.arrives(&other.answer(SYN | ACK).bytes());
        assert_eq!(bed.events(), [(EventKind::Learned, Evidence::SynAck)]);
        bed.arrives(&syn().bytes());
        if late {
            tokio::time::sleep(Duration::from_millis(950)).await;
        }
        bed.arrives(&syn().answer(SYN | ACK).bytes());
        assert_eq!(bed.events(), []);
        bed.arrives(&Tcp { flags: RST, seq: syn().seq.wrapping_add(1), ack: 0, ..syn() }.bytes());
        if late {
            assert_eq!(bed.next().await.evidence, Evidence::GaveUp);
        } else {
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(bed.events(), []);
        }
    }
}

// proves: F-12
#[tokio::test]
async fn a_client_whose_answer_did_not_reach_it_is_judged_again() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    bed.arrives(&syn().bytes());
    bed.arrives(&syn().answer(SYN | ACK).bytes());
    let first = bed.take()[0].seen_ns;
    // A SYN that crosses its answer says nothing.
    bed.arrives(&syn().bytes());
    assert_eq!(bed.events(), []);
    tokio::time::sleep(Duration::from_millis(950)).await;
    bed.arrives(&syn().bytes());
    assert_eq!(bed.take()[0].evidence, Evidence::KnownFailed);
    let fate = bed.next().await;
    assert_eq!((fate.evidence, fate.attempts, fate.seen_ns >> 18), (Evidence::Unanswered, 1, first >> 18));
}

// proves: F-6
#[tokio::test]
async fn a_refusal_counts_if_it_acknowledges_the_syn() {
    let mut bed = Bed::new();
    bed.arrives(&syn().bytes());
    for nothing in
        [syn().answer(RST), Tcp { ack: 5, ..syn().answer(RST | ACK) }, Tcp { sport: 81, ..syn().answer(RST | ACK) }]
    {
        bed.arrives(&nothing.bytes());
    }
    assert_eq!((bed.count(Counter::Refusals), bed.events().len()), (0, 0));
    bed.leaves(&syn().answer(RST | ACK).bytes());
    assert_eq!(bed.events(), [(EventKind::Failed, Evidence::Refused)]);
    // Seen again on its way through: the same word about the same attempt.
    bed.arrives(&syn().answer(RST | ACK).bytes());
    assert_eq!(bed.events(), []);
}

#[tokio::test]
async fn a_refusal_after_a_report_is_more_evidence_on_the_same_attempt() {
    let mut bed = Bed::new();
    bed.kernel.mark(Mark::Failed(service("10.0.2.7:80"))).unwrap();
    bed.arrives(&syn().bytes());
    bed.arrives(&syn().answer(RST | ACK).bytes());
    let events = bed.take();
    assert_eq!((events[0].evidence, events[0].attempts), (Evidence::KnownFailed, 0));
    assert_eq!((events[1].evidence, events[1].attempts), (Evidence::Refused, 1), "its fate");
    let mut silent = Bed::new();
    silent.arrives(&syn().bytes());
    assert_eq!(silent.next().await.evidence, Evidence::Unanswered);
    for more in [1, 0] {
        silent.arrives(&syn().answer(RST | ACK).bytes());
        let said: Vec<_> = silent.take().iter().map(|event| (event.evidence, event.attempts)).collect();
        assert_eq!(said, [(Evidence::Refused, 0)][..more], "once");
    }
}

#[tokio::test]
async fn the_clients_own_ack_is_an_answer_only_where_the_operator_says_so() {
    for counts in [false, true] {
        let mut bed = Bed::with(&Watch { client_ack: counts, ..watch() });
        bed.arrives(&syn().bytes());
        let ack = Tcp { flags: ACK, seq: syn().seq.wrapping_add(1), ack: 78, ..syn() };
        bed.arrives(&ack.bytes());
        assert_eq!(bed.count(Counter::Answers), u64::from(counts));
        let expected = if counts { Evidence::ClientAck } else { Evidence::Unanswered };
        assert_eq!(bed.next().await.evidence, expected);
    }
}

#[tokio::test]
async fn odd_flags_are_nothing() {
    let bed = Bed::new();
    for flags in [0, FIN, SYN | FIN, SYN | RST, SYN | ACK | RST, FIN | ACK, 0x3f] {
        bed.arrives(&Tcp { flags, ..syn() }.bytes());
    }
    assert_eq!(bed.count(Counter::Attempts), 0);
    // ECN set-up (RFC 3168) and data in the SYN (RFC 7413) are an attempt all the same.
    bed.arrives(&Tcp { flags: SYN | 0xc0, payload: 100, ..syn() }.bytes());
    assert_eq!(bed.count(Counter::Attempts), 1);
    // What this host sends is no client's attempt.
    bed.leaves(&Tcp { sport: 4001, ..syn() }.bytes());
    assert_eq!(bed.count(Counter::Attempts), 1);
}

// proves: F-1 F-3a
#[tokio::test]
async fn what_acknowledges_data_of_a_syn_is_its_answer_or_its_refusal() {
    for v6 in [false, true] {
        let plain = if v6 { Tcp::syn("2001:db8:1::1", 4000, "2001:db8:2::7", 80, 1000) } else { syn() };
        let syn = Tcp { payload: 5, ..plain };
        let reply = |flags, ack: u32| Tcp { ack: syn.seq.wrapping_add(ack), payload: 0, ..syn.answer(flags) };
        // All of it, a part of it, none of it; and what was never sent.
        for (ack, is_answer) in [(6, true), (3, true), (1, true), (0, false), (7, false)] {
            let mut bed = Bed::new();
            bed.arrives(&syn.bytes());
            bed.arrives(&reply(SYN | ACK, ack).bytes());
            assert_eq!(
                (bed.count(Counter::Answers), bed.events().len()),
                (u64::from(is_answer), usize::from(is_answer))
            );
            // The client's own repetition has no data.
            bed.arrives(&Tcp { payload: 0, ..syn.clone() }.bytes());
            assert_eq!(bed.count(Counter::Retransmits), 1, "{ack}");
        }
        for (ack, is_refusal) in [(6, 1), (1, 1), (7, 0)] {
            let bed = Bed::new();
            bed.arrives(&syn.bytes());
            bed.arrives(&reply(RST | ACK, ack).bytes());
            assert_eq!(bed.count(Counter::Refusals), is_refusal, "{ack}");
        }
        // Without data, only its own number acknowledges a SYN.
        let bed = Bed::new();
        bed.arrives(&Tcp { payload: 0, ..syn.clone() }.bytes());
        bed.arrives(&reply(SYN | ACK, 6).bytes());
        assert_eq!(bed.count(Counter::Answers), 0);
    }
}

/// What this gateway says when another one asks.
fn hear(kernel: &Kernel, question: &Question) -> Option<UnixMs> {
    let state = kernel.service(question.service).unwrap().unwrap_or_default();
    let last = (state.last_answer_ns != 0)
        .then(|| SystemClock { adopts_steps: false }.offset().unix(MonotonicNs(state.last_answer_ns)));
    question.well(kernel.has_unmatched_answer(question).unwrap(), last)
}

// proves: F-3a
#[tokio::test]
async fn an_answer_whose_syn_was_not_seen_is_known_to_who_asks_about_just_that_syn() {
    let question = Question {
        service: service("10.0.2.7:80"),
        client: ClientAddr::new("10.0.1.5".parse().unwrap()),
        client_port: 4000,
        seq: syn().seq,
        since: UnixMs::now(),
        attempts: 1,
    };
    for shared in [false, true] {
        let bed = Bed::with(&Watch { shared, ..watch() });
        assert_eq!(hear(&bed.kernel, &question), None);
        bed.arrives(&syn().answer(SYN | ACK).bytes());
        assert_eq!(hear(&bed.kernel, &question), shared.then_some(question.since));
        for other in [
            Question { seq: 0, ..question },
            Question { client_port: 4001, ..question },
            Question { service: service("10.0.2.7:81"), ..question },
        ] {
            assert_eq!(hear(&bed.kernel, &other), None, "{other:?}");
        }
    }
    // An answer of a SYN that was seen speaks for its service: for whoever tried a second or more before.
    let bed = Bed::with(&Watch { shared: true, ..watch() });
    bed.arrives(&syn().bytes());
    bed.arrives(&syn().answer(SYN | ACK).bytes());
    let before = |ms| Question { seq: 0, since: UnixMs(UnixMs::now().0 - ms), ..question };
    assert_eq!(hear(&bed.kernel, &before(500)), None, "clocks may differ by as much");
    assert!(hear(&bed.kernel, &before(1500)).is_some());
}
