//! The daemon marks a service as failed, recovered or listed: in place, as answers may be noted at the same moment.

use aya_ebpf::bindings::BPF_NOEXIST;
use monitor_common::{MarkRequest, Outcome, ServiceState};
use monitor_ebpf::parse::Frame;

use crate::state::maps::RB_SERVICES;

/// Applies the request in the frame. It is not done if the table of services is full.
#[inline(always)]
pub(crate) fn apply(frame: &Frame) -> Outcome {
    let Some(request) = frame.copy::<MarkRequest>(MarkRequest::OFFSET) else { return Outcome::NotDone };
    if RB_SERVICES.get_ptr(&request.key).is_none() {
        let _ = RB_SERVICES.insert(&request.key, &ServiceState::default(), u64::from(BPF_NOEXIST));
    }
    let Some(service) = RB_SERVICES.get_ptr_mut(&request.key) else { return Outcome::NotDone };
    // SAFETY: a live map value; only this program writes these fields, except `flags`, where another may set ANSWERED at the
    // same moment: it does so again at the next answer.
    let service = unsafe { &mut *service };
    service.failed_ns = request.failed_ns;
    if request.ended_ns != 0 {
        service.ended_ns = request.ended_ns;
        service.report_until_ns = request.report_until_ns;
    }

    service.flags = (service.flags & !request.clear) | request.set;
    Outcome::Done
}
