//! The passing of time: one timer for all CPUs looks at the heads of the rings, so that only expired attempts are ever
//! looked at.
//!
//! An answered attempt stays in its ring. When its turn comes, it is found to be gone from the table.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_loop, bpf_timer_init, bpf_timer_set_callback, bpf_timer_start,
};
use monitor_common::{
    Attempt, Counter, EventKind, Evidence, Judgement, Settings, SlotState, is_deadline_of, judge, step,
};

use super::{
    answer,
    bucket::{self, Found},
    established, evidence,
    report::{self, Room, Word},
};
use crate::state::{
    count,
    maps::{RB_CURSORS, RB_DEADLINES, RB_SETTINGS, RB_TIMER, Timer},
};

/// Between two looks at the rings: an expired attempt is reported at most this much late.
const TICK_NS: u64 = 10_000_000;

/// Attempts that one look takes from one CPU's ring at most; bounds the time spent in softirq.
const BATCH: u32 = 16_384;

const CLOCK_MONOTONIC: u64 = 1;

/// What the callback of a `bpf_loop` returns to go on, or to end the loop.
const GO_ON: i64 = 0;
const END: i64 = 1;

/// Starts the timer, or takes over one that an earlier load of this object left running.
#[inline(always)]
pub(crate) fn arm() -> i32 {
    let Some(timer) = RB_TIMER.get_ptr_mut(0) else { return -1 };
    // SAFETY: the timer of a live map value; the callback has the signature that the kernel calls.
    unsafe {
        // -EBUSY: it was initialised before. The two calls below then move it to this program.
        bpf_timer_init(&raw mut (*timer).timer, core::ptr::from_ref(&RB_TIMER).cast_mut().cast(), CLOCK_MONOTONIC);
        let set = bpf_timer_set_callback(&raw mut (*timer).timer, tick as *mut c_void);
        if set != 0 {
            return set as i32;
        }
        bpf_timer_start(&raw mut (*timer).timer, TICK_NS, 0) as i32
    }
}

/// What the two loops below share.
#[repr(C)]
struct Look {
    now: u64,
    cpu: u32,
    _pad: u32,
}

#[inline(never)]
extern "C" fn tick(_map: *mut c_void, _key: *mut u32, timer: *mut Timer) -> i32 {
    look();
    // SAFETY: the timer of the live map value that the kernel passed.
    unsafe {
        (*timer).ran_ns = bpf_ktime_get_ns();
        bpf_timer_start(&raw mut (*timer).timer, TICK_NS, 0);
    }
    0
}

/// Looks at the heads of all rings.
#[inline(always)]
pub(crate) fn look() {
    if let Some(settings) = RB_SETTINGS.get(0) {
        // SAFETY: no arguments.
        let mut look = Look { now: unsafe { bpf_ktime_get_ns() }, cpu: 0, _pad: 0 };
        // SAFETY: the callback has the signature that the kernel calls, and `look` outlives the loop.
        unsafe { bpf_loop(settings.cpus, look_at_cpu as *mut c_void, (&raw mut look).cast(), 0) };
    }
}

#[inline(never)]
extern "C" fn look_at_cpu(cpu: u32, look: *mut Look) -> i64 {
    // SAFETY: the caller's, which outlives the loops.
    unsafe {
        (*look).cpu = cpu;
        bpf_loop(BATCH, look_at_head as *mut c_void, look.cast(), 0);
    }
    GO_ON
}

/// Takes one attempt from the ring if its time is up. Returns [`END`] when there is none.
#[inline(never)]
extern "C" fn look_at_head(_turn: u32, look: *mut Look) -> i64 {
    // SAFETY: the caller's, which outlives the loops.
    let (now, cpu) = unsafe { ((*look).now, (*look).cpu) };
    let Some(settings) = RB_SETTINGS.get(0) else { return END };
    let Some(cursor) = RB_CURSORS.get_ptr_mut(cpu) else { return END };
    // SAFETY: a live map value. `head` is only moved here, by the one timer; `tail` is read whole.
    let (head, tail) = unsafe { ((*cursor).head, (&raw const (*cursor).tail).read_volatile()) };
    if head == tail {
        return END;
    }
    let base = cpu * (settings.deadline_mask + 1);
    let Some(entry) = RB_DEADLINES.get_ptr(base + ((head as u32) & settings.deadline_mask)) else { return END };
    // SAFETY: between `head` and `tail`: written completely, and not written again before `head` passes it.
    let attempt = unsafe { &*entry };
    if attempt.seen_ns + settings.syn_timeout_ns > now {
        return END;
    }
    if expire(attempt, settings, now) == Room::Full {
        return END;
    }
    // SAFETY: as above.
    unsafe { (&raw mut (*cursor).head).write_volatile(head + 1) };
    GO_ON
}

/// An attempt whose time is up: gone from the table (answered), isolated, or failed.
#[inline(always)]
fn expire(entry: &Attempt, settings: &Settings, now_ns: u64) -> Room {
    if established::are_followed() && entry.arrival.is_data() {
        return established::expire(entry, settings, now_ns);
    }
    let Some(mut found) = bucket::find(entry, settings, now_ns) else { return Room::Yes };
    // By the time of the entry: a report may have waited for room for longer than a slot's time goes back.
    if !is_deadline_of(found.was, found.time(), entry.seen_ns) {
        return Room::Yes;
    }
    if found.was.is_open() { silent(entry, &mut found, now_ns) } else { say_late(entry, &mut found, now_ns) }
}

/// What found no room when it came.
#[inline(never)]
fn say_late(entry: &Attempt, found: &mut Found, now_ns: u64) -> Room {
    let mut attempt = *entry;
    let standing = report::standing(entry, report::service(entry));
    if let Some(evidence) = found.was.unsaid_failure() {
        let at_ns = found.time().latest_ns(entry.seen_ns);
        return evidence::failure(&mut attempt, evidence, (standing, at_ns), found);
    }
    if found.was.is_unsaid_answer() {
        // Not before what it ended.
        let at_ns = found.time().latest_by_ns(entry.seen_ns, now_ns);
        return answer::unsaid_answer(&mut attempt, Evidence::SynAck, (standing, at_ns), found);
    }
    Room::Yes
}

/// Nobody answered it in time.
#[inline(never)]
fn silent(entry: &Attempt, found: &mut Found, now_ns: u64) -> Room {
    let time = found.time();
    let latest_ns = time.latest_ns(entry.seen_ns);
    let mut attempt = *entry;
    // An entry of the attempt's own first SYN knows the time better.
    let first_ns = time.first_ns(entry.seen_ns);
    if step(first_ns) != step(entry.seen_ns) {
        attempt.seen_ns = first_ns;
    }
    let latest_ns = if latest_ns < attempt.seen_ns { attempt.seen_ns } else { latest_ns };
    let service = report::service(entry);
    let standing = report::standing(entry, service);
    let judgement = match service {
        // SAFETY: a live map value; each field is read whole.
        Some(service) => judge(found.was, attempt.seen_ns, unsafe { &*service }),
        None if standing == 0 => Judgement::Unknown,
        None => Judgement::Failed,
    };
    if judgement == Judgement::Failed {
        let word = Word {
            latest_ns,
            at_ns: now_ns,
            kind: EventKind::Failed,
            evidence: Evidence::Unanswered,
            attempts: 1,
            standing,
        };
        let room = report::claim(&attempt, &word, found, SlotState::Said);
        if room == Room::Yes {
            count(Counter::Expired);
        }
        return room;
    }
    // An isolated one may still be answered, or refused.
    let is_unknown = judgement == Judgement::Unknown;
    if if is_unknown { found.take() } else { found.turn(SlotState::Isolated) } {
        count(Counter::Expired);
        count(if is_unknown { Counter::UnknownService } else { Counter::Isolated });
    }
    Room::Yes
}
