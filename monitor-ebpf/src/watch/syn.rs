//! A SYN: remember the attempt and its deadline; at once report one to a failed service (F-3, F-4).

use aya_ebpf::{btf_maps::lpm_trie::Key, helpers::generated::bpf_ktime_get_ns};
use monitor_common::{Addr, Attempt, Counter, Evidence, ServiceFlags, ServiceKey};

use super::{
    bucket::{self, Remembered},
    report::{self, Case, Known},
    ring,
};
use crate::state::{
    count,
    maps::{RB_SERVICES, RB_SETTINGS, RB_WATCH},
};

/// What is known of the service that a SYN asks for.
struct Wanted {
    known: Known,
    /// When it was marked failed; 0: it is not.
    failed_ns: u64,
}

/// Takes a SYN that arrived. Returns 1 when its service is failed, else 0.
///
/// A global function in BPF's sense: the verifier checks it once, by itself, and not again for each way that leads here.
/// What it is given may therefore be null, as far as the verifier knows.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_syn(attempt: *mut Attempt) -> u32 {
    // SAFETY: the caller's attempt, on its stack.
    u32::from(unsafe { attempt.as_mut() }.is_some_and(seen))
}

/// Whether the service is failed.
#[inline(always)]
fn seen(attempt: &mut Attempt) -> bool {
    let Some(wanted) = wanted(attempt) else { return false };
    let failed = wanted.failed_ns != 0;
    remember(attempt, &wanted);
    failed
}

#[inline(always)]
fn remember(attempt: &mut Attempt, wanted: &Wanted) {
    let Some(settings) = RB_SETTINGS.get(0) else { return };
    // SAFETY: no arguments.
    attempt.seen_ns = unsafe { bpf_ktime_get_ns() };
    attempt.hash = bucket::hash(attempt, settings);
    attempt.answers = wanted.known.answers;
    let Some(remembered) = bucket::remember(attempt, settings) else { return };
    let found = match remembered {
        Remembered::New(found) => {
            if wanted.failed_ns == 0 {
                if ring::enter(attempt, settings) {
                    count(Counter::Attempts);
                } else {
                    found.take();
                }
                return;
            }
            count(Counter::Attempts);
            found
        }
        Remembered::Again(found) => {
            count(Counter::Retransmits);
            // The service may have been marked failed after this attempt began: it is noted now (F-4).
            if wanted.failed_ns == 0 || found.was.is_reported() {
                return;
            }
            found
        }
    };
    let case = Case { evidence: Evidence::KnownFailed, known: wanted.known, fold_since_ns: wanted.failed_ns };
    report::failed(attempt, &case, &found);
}

/// Whether the SYN's service is watched, from the table of services (the common case) or from the watch list.
#[inline(always)]
fn wanted(attempt: &Attempt) -> Option<Wanted> {
    let key = ServiceKey::new(attempt.server, attempt.server_port);
    if let Some(service) = RB_SERVICES.get_ptr(&key) {
        // SAFETY: a live map value; its fields are read one by one, each whole.
        let service = unsafe { &*service };
        let known = Known { standing: service.flags, answers: service.answers, last_answer_ns: service.last_answer_ns };
        return Some(Wanted { known, failed_ns: service.failed_ns });
    }
    let rule = RB_WATCH.get(&Key::new(Addr::BITS, attempt.server))?;
    let listed = rule.lists(attempt.server_port);
    if !listed && rule.learn == 0 {
        return None;
    }
    let standing = if listed { ServiceFlags::LISTED } else { 0 };
    Some(Wanted { known: Known { standing, answers: 0, last_answer_ns: 0 }, failed_ns: 0 })
}
