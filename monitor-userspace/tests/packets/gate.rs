//! The gate of shared addresses (H-1), and what others claim of them (H-4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use monitor_core::{domain::MonotonicNs, standby::announcement};
use ringback::kernel::{Claimed, Gate, GateProgram};

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FOREIGN: [u8; 6] = [2, 0, 0, 0, 0, 9];
const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

/// `TC_ACT_UNSPEC` and `TC_ACT_SHOT`.
const NEXT: u32 = u32::MAX;
const STOPPED: u32 = 2;

fn gate() -> Gate {
    Gate::detached(OWN, &[V4.into(), V6.into()]).unwrap()
}

fn arrives(gate: &Gate, frame: &[u8]) -> u32 {
    gate.trial(GateProgram::Arrives, frame).unwrap()
}

fn leaves(gate: &Gate, frame: &[u8]) -> u32 {
    gate.trial(GateProgram::Leaves, frame).unwrap()
}

fn open(gate: &mut Gate) {
    for address in [IpAddr::from(V4), V6.into()] {
        gate.open_until(address, MonotonicNs(u64::MAX)).unwrap();
    }
}

/// An ARP request of somebody else's, for `target`.
fn question(sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = announcement::frames(target.into(), FOREIGN).remove(0);
    frame[28..32].copy_from_slice(&sender.octets());
    frame
}

/// A neighbour solicitation for `target`; nobody looks at its checksum here.
fn solicitation(source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let mut frame = announcement::frames(target.into(), FOREIGN).remove(0);
    frame[54] = 135;
    frame[22..38].copy_from_slice(&source.octets());
    frame
}

// proves: H-1 H-8
#[test]
fn a_closed_gate_stops_questions_and_claims_and_an_open_one_nothing() {
    let mut gate = gate();
    let (stranger, other) = (Ipv4Addr::new(192, 0, 2, 99), Ipv4Addr::new(192, 0, 2, 8));
    let (stranger6, other6) = (V6.to_bits() + 92, V6.to_bits() + 1);
    let (stranger6, other6) = (Ipv6Addr::from_bits(stranger6), Ipv6Addr::from_bits(other6));
    let asked = [question(stranger, V4), solicitation(stranger6, V6)];
    let claims: Vec<_> =
        [IpAddr::from(V4), V6.into()].into_iter().flat_map(|ip| announcement::frames(ip, OWN)).collect();
    let others = [question(stranger, other), solicitation(stranger6, other6)];
    for closed in [true, false] {
        let expected = if closed { STOPPED } else { NEXT };
        assert!(asked.iter().all(|frame| arrives(&gate, frame) == expected), "{closed}");
        assert!(claims.iter().all(|frame| leaves(&gate, frame) == expected), "{closed}");
        assert_eq!(leaves(&gate, &solicitation(V6, other6)), expected);
        for frame in &others {
            assert_eq!((arrives(&gate, frame), leaves(&gate, frame)), (NEXT, NEXT));
        }
        open(&mut gate);
    }
    assert_eq!((gate.stopped(V4.into()), gate.stopped(V6.into())), (3, 3));
    gate.open_until(V4.into(), MonotonicNs(1)).unwrap();
    assert_eq!(arrives(&gate, &asked[0]), STOPPED, "the time is over");
}

// proves: H-4 H-8
#[test]
fn claims_of_others_are_counted_and_nothing_else() {
    let mut gate = gate();
    for address in [IpAddr::from(V4), V6.into()] {
        assert_eq!(gate.claimed(address), Claimed::default());
    }
    open(&mut gate);
    for frame in announcement::frames(V4.into(), FOREIGN).iter().chain(&announcement::frames(V6.into(), FOREIGN)) {
        assert_eq!(arrives(&gate, frame), NEXT);
    }
    assert_eq!(gate.claimed(V4.into()), Claimed { count: 2, latest: FOREIGN });
    assert_eq!(gate.claimed(V6.into()), Claimed { count: 1, latest: FOREIGN });
    // A question from the address is a claim as well: whoever hears it learns its sender.
    arrives(&gate, &question(V4, Ipv4Addr::new(192, 0, 2, 1)));
    arrives(&gate, &solicitation(V6, Ipv6Addr::from_bits(V6.to_bits() + 1)));
    assert_eq!((gate.claimed(V4.into()).count, gate.claimed(V6.into()).count), (3, 2));
    let counted = |gate: &Gate| (gate.claimed(V4.into()).count, gate.claimed(V6.into()).count);
    // Own frames that come back; questions of others; what was sent from another link; what is cut off.
    for frame in announcement::frames(V4.into(), OWN).iter().chain(&announcement::frames(V6.into(), OWN)) {
        arrives(&gate, frame);
        leaves(&gate, frame);
    }
    arrives(&gate, &question(Ipv4Addr::new(192, 0, 2, 1), V4));
    let mut far = announcement::frames(V6.into(), FOREIGN).remove(0);
    far[21] = 254;
    arrives(&gate, &far);
    for length in 15..31 {
        assert_eq!(arrives(&gate, &announcement::frames(V4.into(), FOREIGN)[1][..length]), NEXT);
    }
    for length in 54..78 {
        assert_eq!(arrives(&gate, &announcement::frames(V6.into(), FOREIGN)[0][..length]), NEXT);
    }
    assert_eq!(counted(&gate), (3, 2));
}
