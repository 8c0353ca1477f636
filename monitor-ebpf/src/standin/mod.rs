//! What is answered in a failed server's name, where the operator wants that: the page ([`steer`]), and otherwise a refusal
//! at once ([`refuse`]).

mod page;
pub(crate) mod refuse;
mod socket;
pub(crate) mod steer;

use aya_ebpf::programs::TcContext;
use monitor_common::SENT_FOR_SERVER;

/// Whether the page sent this packet: then the server says nothing by it.
#[inline(always)]
pub(crate) fn sent_for_server(ctx: &TcContext) -> bool {
    // SAFETY: the context is valid for the whole run of the program.
    unsafe { (*ctx.skb.skb).mark == SENT_FOR_SERVER }
}
