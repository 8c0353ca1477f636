extern crate std;

use super::{SlotState, SlotTime, SlotWord, is_deadline_of, is_done, rank, step, trying_until_ns};
use crate::Evidence;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_word_tells_attempts_apart_and_keeps_its_state() {
    let word = SlotWord::new(0xdead_beef_0000_0001, 7, SlotState::Pending);
    for state in [SlotState::Hinted, SlotState::Said, SlotState::Answered, SlotState::GaveUpUnsaid] {
        assert!(word.same_attempt(word.to(state)) && word.to(state).is(state) && !word.is(state));
    }
    assert!(!word.same_attempt(SlotWord::new(0xdead_beef_0000_0001, 8, SlotState::Pending)));
    assert!(!word.same_attempt(SlotWord::new(0x1ead_beef_0000_0001, 7, SlotState::Pending)));
}

#[test]
fn an_answer_is_the_first_unless_the_server_has_refused_or_the_client_has_gone() {
    let word = SlotWord::new(1 << 40, 7, SlotState::Pending);
    let first = [SlotState::Pending, SlotState::Reopened, SlotState::Hinted, SlotState::Said, SlotState::Isolated];
    let unreachable = [SlotState::HostUnreachableUnsaid, SlotState::ProhibitedUnsaid, SlotState::Firm];
    for state in first.into_iter().chain(unreachable) {
        assert!(word.to(state).awaits_answer() && !word.to(state).is_answered(), "{state:?}");
    }
    for state in [SlotState::Answered, SlotState::Quick, SlotState::AnswerUnsaid, SlotState::RefusedUnsaid] {
        assert!(!word.to(state).awaits_answer(), "{state:?}");
    }
    assert!(!word.to(SlotState::GaveUpUnsaid).awaits_answer() && !word.to(SlotState::Gone).awaits_answer());
}

#[test]
fn a_deadline_from_before_an_answer_judges_no_later_syn() {
    let word = SlotWord::new(1 << 40, 7, SlotState::Pending);
    let reopened = word.to(SlotState::Reopened);
    let first = SlotTime::first_seen(200 * SECOND);
    assert!(is_deadline_of(word, first, 200 * SECOND) && !is_deadline_of(reopened, first, 200 * SECOND));
    let again = first.seen_again(203 * SECOND);
    assert!(is_deadline_of(reopened, again, 203 * SECOND) && !is_deadline_of(reopened, again, 200 * SECOND));
}

#[test]
fn an_answered_attempt_keeps_its_slot_as_long_as_its_client_may_say_that_it_was_gone() {
    let word = SlotWord::new(1 << 40, 7, SlotState::Answered);
    let answered = SlotTime::first_seen(100 * SECOND).seen_again(102 * SECOND);
    assert!(!is_done(word, answered, 102 * SECOND + SECOND / 2));
    assert!(is_done(word, answered, 104 * SECOND) && is_done(word.to(SlotState::Quick), answered, 102 * SECOND));
    assert!(
        answered.latest_ns(105 * SECOND) <= 102 * SECOND
            && answered.latest_by_ns(102 * SECOND, 105 * SECOND) >= 102 * SECOND
    );
    assert_eq!(answered.latest_by_ns(102 * SECOND, 102 * SECOND), 102 * SECOND);
}

#[test]
fn what_is_unsaid_is_kept_until_it_is_said() {
    let word = SlotWord::new(0xdead_beef_0000_0001, 7, SlotState::Pending);
    for evidence in [
        Evidence::Refused,
        Evidence::HostUnreachable,
        Evidence::NetUnreachable,
        Evidence::PortUnreachable,
        Evidence::Prohibited,
        Evidence::GaveUp,
    ] {
        let unsaid = word.to(SlotState::unsaid(evidence));
        assert_eq!(unsaid.unsaid_failure(), Some(evidence));
        assert!(!unsaid.is_open() && !unsaid.is_said() && unsaid.same_attempt(word));
    }
    assert_eq!(word.unsaid_failure(), None);
}

#[test]
fn a_slot_that_is_newer_than_a_clock_is_new() {
    let time = SlotTime::first_seen(300 * SECOND + 5);
    for now in [300 * SECOND, 300 * SECOND - 300_000, 300 * SECOND - SECOND / 2] {
        assert_eq!(step(time.first_ns(now)), step(300 * SECOND + 5));
        assert!(!time.is_given_up(now), "{now}");
    }
}

#[test]
fn a_syn_with_data_is_answered_by_what_acknowledges_any_part_of_it() {
    let of = |seq| SlotWord::new(0xdead_beef_0000_0001, seq, SlotState::Pending);
    for (data, most) in [(0, 0), (5, 5), (1460, 1460), (4094, 4094), (4095, 65_535), (9000, 65_535)] {
        for seq in [1000, u32::MAX - 2] {
            let slot = of(seq).with_data(data);
            assert_eq!((slot.seq(), slot.to(SlotState::Said).same_attempt(of(seq))), (seq, true));
            for (later, same) in [(0, true), (most, true), (most + 1, false), (u32::MAX, false)] {
                assert_eq!(slot.same_attempt(of(seq.wrapping_add(later))), same, "{data} {later}");
            }
        }
    }
}

#[test]
fn a_free_slot_is_no_attempt_even_for_tag_and_sequence_zero() {
    assert!(!SlotWord(0).same_attempt(SlotWord::new(0, 0, SlotState::Pending)));
}

#[test]
fn a_time_keeps_the_first_syn_exactly_enough_and_the_latest_roughly() {
    for first in [0, 5 * SECOND + 17, 1_000_000 * SECOND + 123_456_789] {
        let time = SlotTime::first_seen(first);
        for later in [0, 1, SECOND, 63 * SECOND, 126 * SECOND] {
            let again = time.seen_again(first + later);
            for now in [first + later, first + later + 5 * SECOND] {
                assert_eq!(step(again.first_ns(now)), step(first), "{first} {later}");
                let latest = again.latest_ns(now);
                assert!(latest <= first + later && first + later - latest < 1 << 25, "{first} {later}");
            }
        }
    }
}

#[test]
fn a_client_that_goes_on_is_never_taken_for_one_that_gave_up() {
    let first = 77 * SECOND + 1;
    // Linux repeats a SYN after 1, 3, 7 s and so on; older systems after 3, 9, 21 s; newer Linux after 1, 2, 3, 4, 5, 7 s.
    for pauses in [&[1, 2, 4, 8, 16, 32][..], &[3, 6, 12, 24], &[1, 1, 1, 1, 1, 2, 4, 8]] {
        let (mut time, mut now) = (SlotTime::first_seen(first), first);
        for pause in pauses {
            now += pause * SECOND;
            assert!(!time.is_given_up(now), "{pauses:?}: {pause}");
            time = time.seen_again(now);
        }
    }
    assert!(SlotTime::first_seen(first).is_given_up(first + 4 * SECOND));
    assert_eq!(trying_until_ns(first, first + 3 * SECOND), first + 9 * SECOND + 500_000_000);
}

#[test]
fn what_waits_for_its_fate_is_taken_last() {
    let now = 100 * SECOND;
    let word = SlotWord::new(1 << 40, 7, SlotState::Pending);
    let young = SlotTime::first_seen(now - SECOND);
    let old = SlotTime::first_seen(now - 20 * SECOND);
    let order = [
        (SlotWord(0), young),
        (word.to(SlotState::Said), old),
        (word.to(SlotState::Quick), young),
        (word.to(SlotState::Said), young),
        (word, old),
        (word, young),
    ];
    let ranks = order.map(|(word, time)| rank(word, time, now));
    assert!(ranks.is_sorted_by(|one, next| one > next), "{ranks:?}");
    let done = order.map(|(word, time)| is_done(word, time, now));
    assert_eq!(done, [true, true, true, false, false, false]);
}

#[test]
fn what_waits_for_room_for_long_keeps_its_times() {
    // Answered after a minute, and said five minutes later.
    let (first, answered, now) = (100 * SECOND, 160 * SECOND, 460 * SECOND);
    let time = SlotTime::first_seen(first).seen_again(answered);
    assert_eq!(step(time.first_ns(answered)), step(first));
    let word = SlotWord::new(0, 7, SlotState::WithdrawalUnsaid);
    assert!(is_deadline_of(word, time, first) && is_deadline_of(word, time, answered));
    assert!(time.latest_by_ns(answered, now).abs_diff(answered) < SECOND);
    // From now on its first time is another one.
    assert_ne!(step(time.first_ns(now)), step(first));
}

#[test]
fn an_attempt_that_was_forgotten_and_seen_again_has_the_later_deadline() {
    // Its SYNs go out 1, 3, 7, 15, 31 and 63 seconds after the first one (RFC 6298 section 5.5).
    let (first, word) = (1000 * SECOND, SlotWord::new(0, 7, SlotState::Pending));
    for again in [3, 7, 15, 31, 63].map(|later| first + later * SECOND) {
        let time = SlotTime::first_seen(again);
        assert!(!is_deadline_of(word, time, first) && is_deadline_of(word, time, again));
        let time = time.seen_again(again + 60 * SECOND);
        assert!(!is_deadline_of(word, time, first) && is_deadline_of(word, time, again));
    }
}
