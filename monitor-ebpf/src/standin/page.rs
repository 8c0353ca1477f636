//! What the page stands in for, and for whom.

use aya_ebpf::btf_maps::lpm_trie::Key;
use monitor_common::{Addr, STAND_IN_PORT, STAND_IN_TLS_PORT, StandIn};

use crate::state::maps::{RB_ON_RECORD, RB_STANDIN_TLS};

/// A single address as the key of a table of networks. The address lies on an eight-byte boundary: the compiler stores it in
/// halves, which the verifier wants aligned.
#[repr(C, align(8))]
struct Whole {
    _pad: u32,
    key: Key<Addr>,
}

impl Whole {
    #[inline(always)]
    const fn new(addr: Addr) -> Self {
        Self { _pad: 0, key: Key::new(Addr::BITS, addr) }
    }

    #[inline(always)]
    const fn key(&self) -> &Key<Addr> {
        &self.key
    }
}

/// Whether the page stands in for this port of the server, if that is failed.
#[inline(always)]
pub(super) fn is_of(standin: &StandIn, server: &Addr, port: u16) -> bool {
    match port {
        STAND_IN_PORT => true,
        STAND_IN_TLS_PORT => standin.tls != 0 && RB_STANDIN_TLS.get(Whole::new(*server).key()).is_some(),
        _ => false,
    }
}

/// Whether the page is shown to this client.
#[inline(always)]
pub(super) fn is_for(client: &Addr) -> bool {
    RB_ON_RECORD.get(Whole::new(*client).key()).is_none_or(|on_record| *on_record == 0)
}

/// Whether it may stand in for this port of some server: all that most packets are asked.
#[inline(always)]
pub(super) fn may_be_on(standin: &StandIn, port: u16) -> bool {
    port == STAND_IN_PORT || port == STAND_IN_TLS_PORT && standin.tls != 0
}
