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
    // SAFETY: as the caller promises.
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
    // SAFETY: as the caller promises.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(word, 1) };
}

/// Adds `value`, which may be a negative number in two's complement.
///
/// # Safety
/// `word` points into a live map value and is aligned.
#[inline(always)]
pub(crate) unsafe fn add(word: *mut u64, value: u64) {
    // SAFETY: as the caller promises. The old value is not fetched: the instruction for that is newer than the target.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(word, value) };
}

/// Adds 1 unless that would be more than `most`. Returns whether it did. While many CPUs count at once,
/// it may refuse although there is room.
///
/// # Safety
/// `word` points into a live map value and is aligned.
#[inline(always)]
pub(crate) unsafe fn add_up_to(word: *mut u64, most: u64) -> bool {
    for _ in 0..8 {
        // SAFETY: as the caller promises.
        let now = unsafe { word.read_volatile() };
        if now >= most {
            return false;
        }
        // SAFETY: as the caller promises.
        if unsafe { swap(word, now, now + 1) } {
            return true;
        }
    }
    false
}
