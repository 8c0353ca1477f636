//! The atomic operations of the data path, on 64-bit words in map values.
//!
//! `core::sync::atomic` hides read-modify-write operations on the BPF target, though instruction set v3 has them.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

/// Replaces `old` by `new`. Returns whether this caller did it.
///
/// # Safety
/// `word` points into a live map value and is aligned.
#[inline(always)]
pub(crate) unsafe fn swap(word: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: the caller's.
    let (_, done) =
        unsafe { atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(word, old, new) };
    done
}

/// Adds 1 and orders every earlier store of this CPU before it.
///
/// # Safety
/// `word` points into a live map value and is aligned.
#[inline(always)]
pub(crate) unsafe fn publish_next(word: *mut u64) {
    // SAFETY: the caller's.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(word, 1) };
}

/// Adds `value`, which may be a negative number in two's complement.
///
/// # Safety
/// `word` points into a live map value and is aligned.
#[inline(always)]
pub(crate) unsafe fn add(word: *mut u64, value: u64) {
    // SAFETY: the caller's. What was there before is not asked for: that instruction is newer than the target's.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(word, value) };
}

/// Adds 1 unless that would be more than `most`. Returns whether it did; seldom says no though there was room, when many
/// CPUs count at once.
///
/// # Safety
/// `word` points into a live map value and is aligned.
#[inline(always)]
pub(crate) unsafe fn add_up_to(word: *mut u64, most: u64) -> bool {
    for _ in 0..8 {
        // SAFETY: the caller's.
        let now = unsafe { word.read_volatile() };
        if now >= most {
            return false;
        }
        // SAFETY: the caller's.
        if unsafe { swap(word, now, now + 1) } {
            return true;
        }
    }
    false
}
