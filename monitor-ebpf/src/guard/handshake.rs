//! Handshakes with guarded ports, from the SYN that passes to the ACK that ends it: an array of places, found by the client.

use monitor_common::{Addr, Flow, HANDSHAKES, Handshake, HandshakeFlags, flow_hash};
use monitor_ebpf::parse::Segment;

use crate::state::maps::{RB_HANDSHAKES, RB_SETTINGS};

/// Remembers a SYN that passes.
#[inline(always)]
pub(super) fn passed(flow: &Flow, hash: u64, seq: u32, flags: u32) {
    if let Some(place) = handshake(&flow.client, flow.client_port) {
        // A repetition: what is known of its answer stays.
        if place.hash != hash || place.seq != seq {
            *place = Handshake { hash, seq, isn: 0, flags, _pad: 0 };
        }
    }
}

/// Where the handshake of this client's port is, or another's that came later: its hash says whose. Every ACK looks here, so
/// one multiplication finds the place. Two flows that share it lose one count.
#[inline(always)]
pub(super) fn handshake<'map>(client: &Addr, port: u16) -> Option<&'map mut Handshake> {
    const BITS: u32 = HANDSHAKES.trailing_zeros();
    let settings = RB_SETTINGS.get(0)?;
    let [low, high] = client.halves();
    let place = (low ^ high ^ u64::from(port)).wrapping_mul(settings.hash_seed | 1) >> (u64::BITS - BITS);
    let place = RB_HANDSHAKES.get_ptr_mut(place as u32)?;
    // SAFETY: a live map value.
    Some(unsafe { &mut *place })
}

/// Hash of a connection, by the seed of these maps.
#[inline(always)]
pub(super) fn hash(flow: &Flow) -> Option<u64> {
    let settings = RB_SETTINGS.get(0)?;
    Some(flow_hash(settings.hash_seed, flow.client, flow.server, flow.client_port, flow.server_port))
}

/// Whether an ACK that arrived acknowledges the SYN/ACK of a handshake in its place, and follows its SYN.
#[inline(always)]
pub(super) fn ends_handshake(segment: &Segment) -> bool {
    handshake(&segment.src, segment.source).is_some_and(|known| {
        known.flags & HandshakeFlags::ANSWERED != 0
            && segment.ack == known.isn.wrapping_add(1)
            && segment.seq == known.seq.wrapping_add(1)
    })
}
