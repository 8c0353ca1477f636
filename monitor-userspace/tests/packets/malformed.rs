//! Frames that end too early or contradict themselves, and noise: always passed, never more than counted.

use monitor_common::Counter;
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    Bed,
    frame::{ACK, RST, SYN, Tcp, advertisement, arp},
};

fn corpus() -> Vec<Vec<u8>> {
    let v4 = Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9);
    let v6 = Tcp::syn("fd00:1::5", 4000, "fd00::7", 80, 9);
    let extended = Tcp { first_extension: Some(0), options: vec![6, 0, 1, 4, 0, 0, 0, 0], ..v6.clone() };
    let mut frames = vec![
        arp(2, [10, 0, 2, 7], [10, 0, 2, 1]),
        advertisement("fd00::7", 255),
        v4.unreachable(1, 28),
        v6.unreachable(3, 60),
        extended.bytes(),
        extended.unreachable(3, 80),
        Tcp { tags: vec![0x88a8, 0x8100], options: vec![1; 8], ..v4.clone() }.bytes(),
    ];
    for syn in [v4, v6] {
        frames.push(syn.bytes());
        frames.extend([SYN | ACK, RST | ACK, ACK].map(|flags| syn.answer(flags).bytes()));
    }
    frames
}

#[tokio::test]
async fn every_frame_cut_at_every_length_is_passed() {
    let bed = Bed::new();
    for frame in corpus() {
        for length in 14..=frame.len() {
            bed.may_arrive(&frame[..length]);
            bed.may_leave(&frame[..length]);
        }
    }
    assert!(bed.count(Counter::Malformed) > 100);
}

#[tokio::test]
async fn headers_that_contradict_themselves_are_counted() {
    let syn = Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9).bytes();
    for (place, byte) in [(14, 0x44), (14, 0x65), (14, 0x4f), (46, 0x40)] {
        let bed = Bed::new();
        let mut frame = syn.clone();
        frame[place] = byte;
        bed.arrives(&frame);
        assert_eq!((bed.count(Counter::Malformed), bed.count(Counter::Attempts)), (1, 0), "{place} = {byte:#x}");
    }
}

#[tokio::test]
async fn mutated_frames_are_passed_and_never_opened_what_was_not_seen() {
    let mut bed = Bed::new();
    let mutation = (0..corpus().len(), proptest::collection::vec((0..120_usize, any::<u8>()), 1..6), 14..200_usize);
    let frames = corpus();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() });
    runner
        .run(&mutation, |(which, changes, length)| {
            let mut frame = frames[which].clone();
            for (place, byte) in changes {
                if let Some(old) = frame.get_mut(place) {
                    *old = byte;
                }
            }
            frame.truncate(length);
            if frame.len() >= 14 {
                bed.may_arrive(&frame);
                bed.may_leave(&frame);
            }
            Ok(())
        })
        .unwrap();
    bed.events.take(100_000);
    assert_eq!(bed.events.unreadable, 0);
}
