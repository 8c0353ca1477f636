//! The daemon's word on a service: failed, recovered, listed. Changed in place, beside answers that are noted meanwhile.

use aya_ebpf::bindings::BPF_NOEXIST;
use monitor_common::{MarkRequest, Outcome, ServiceState};

use crate::{frame::Frame, maps::RB_SERVICES};

/// Applies the request in the frame. It is not done if the table of services is full.
#[inline(always)]
pub(crate) fn apply(frame: &Frame) -> Outcome {
    let Some(request) = frame.copy::<MarkRequest>(MarkRequest::OFFSET) else { return Outcome::NotDone };
    if RB_SERVICES.get_ptr(&request.key).is_none() {
        let _ = RB_SERVICES.insert(&request.key, &ServiceState::default(), u64::from(BPF_NOEXIST));
    }
    let Some(service) = RB_SERVICES.get_ptr_mut(&request.key) else { return Outcome::NotDone };
    // SAFETY: a live map value; the fields written here are written by nobody else but `flags`, where a program may set
    // ANSWERED at the same moment: it does so again at the next answer.
    let service = unsafe { &mut *service };
    service.failed_ns = request.failed_ns;
    service.flags = (service.flags & !request.clear) | request.set;
    Outcome::Done
}
