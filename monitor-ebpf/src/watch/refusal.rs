//! A refusal: RST in answer to a SYN (F-6).

use monitor_common::{Attempt, Counter, Evidence};

use super::evidence;
use crate::state::count;

/// Takes an RST that acknowledges the SYN of this attempt, if it was seen.
#[inline(always)]
pub(crate) fn seen(attempt: &mut Attempt) {
    if evidence::take(attempt, Evidence::Refused) {
        count(Counter::Refusals);
    }
}
