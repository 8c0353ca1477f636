//! What stands between Ethernet and TCP: VLAN tags, IP options, extension headers, fragments.

use monitor_common::Counter;
use ringback::kernel::TrialProgram;

use crate::{
    Bed, GOES_ON, INGRESS_IP,
    frame::{ACK, SYN, Tcp},
};

fn v4() -> Tcp {
    Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9)
}

fn v6() -> Tcp {
    Tcp::syn("fd00:1::5", 4000, "fd00::7", 80, 9)
}

/// Attempts and answers that the bed counts for the SYN and its answer.
fn seen(syn: &Tcp) -> (u64, u64) {
    let bed = Bed::new();
    bed.arrives(&syn.bytes());
    bed.arrives(&syn.answer(SYN | ACK).bytes());
    (bed.count(Counter::Attempts), bed.count(Counter::Answers))
}

// proves: G-6
#[tokio::test]
async fn up_to_three_vlan_tags_are_looked_behind() {
    for ip in [v4(), v6()] {
        for tags in [vec![], vec![0x8100], vec![0x88a8, 0x8100], vec![0x8100, 0x8100], vec![0x88a8, 0x8100, 0x8100]] {
            assert_eq!(seen(&Tcp { tags: tags.clone(), ..ip.clone() }), (1, 1), "{tags:x?}");
        }
        assert_eq!(seen(&Tcp { tags: vec![0x8100; 4], ..ip }), (0, 0));
    }
}

/// The packet in a frame of a PPPoE session, behind VLAN tags if there are any.
fn in_session(tcp: &Tcp, code: u8) -> Vec<u8> {
    let frame = tcp.bytes();
    let packet = tcp.packet();
    let length = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
    let protocol = if tcp.src.is_ipv4() { [0x00, 0x21] } else { [0x00, 0x57] };
    let before = &frame[..frame.len() - packet.len() - 2];
    [before, &[0x88, 0x64, 0x11, code, 0, 7], &length, &protocol, &packet].concat()
}

#[tokio::test]
async fn pppoe_sessions_are_looked_into_and_their_discovery_is_not() {
    for ip in [v4(), v6()] {
        for (tags, code, seen) in
            [(vec![], 0, 1), (vec![0x8100], 0, 1), (vec![0x88a8, 0x8100, 0x8100], 0, 1), (vec![], 9, 0)]
        {
            let syn = Tcp { tags, ..ip.clone() };
            let bed = Bed::new();
            bed.arrives(&in_session(&syn, code));
            bed.leaves(&in_session(&syn.answer(SYN | ACK), code));
            assert_eq!((bed.count(Counter::Attempts), bed.count(Counter::Answers)), (seen, seen), "{syn:?}");
            assert_eq!(bed.count(Counter::Malformed), 0);
        }
    }
}

#[tokio::test]
async fn a_packet_without_a_link_layer_header_is_read_by_its_version() {
    for ip in [v4(), v6()] {
        let bed = Bed::with_ip();
        let trial = |program, packet: &[u8]| bed.kernel.trial(program, packet, 1).unwrap().verdict;
        assert_eq!(trial(INGRESS_IP, &ip.packet()), GOES_ON);
        assert_eq!(trial(TrialProgram::EgressIp, &ip.answer(SYN | ACK).packet()), u32::MAX, "TC_ACT_UNSPEC");
        assert_eq!((bed.count(Counter::Attempts), bed.count(Counter::Answers)), (1, 1));
        // The same bytes are no Ethernet frame, and Ethernet frames are no such packets.
        bed.arrives(&Tcp { sport: 4001, ..ip.clone() }.packet());
        assert_eq!(trial(INGRESS_IP, &Tcp { sport: 4002, ..ip }.bytes()), GOES_ON);
        assert_eq!(bed.count(Counter::Attempts), 1);
    }
}

#[tokio::test]
async fn ip_options_and_extension_headers_are_looked_behind() {
    for words in 1..=10 {
        assert_eq!(seen(&Tcp { options: vec![1; words * 4], ..v4() }), (1, 1), "{words} words");
    }
    // Hop-by-hop, destination options of 16 bytes, routing, an atomic fragment.
    let chains: [(u8, Vec<u8>); 5] = [
        (0, vec![6, 0, 1, 4, 0, 0, 0, 0]),
        (60, [vec![6, 1], vec![0; 14]].concat()),
        (0, [vec![43, 0, 1, 4, 0, 0, 0, 0], vec![6, 0, 0, 0, 0, 0, 0, 0]].concat()),
        (44, vec![6, 0, 0, 1, 0, 0, 0, 9]),
        // Six, the most that are walked.
        (0, [[0, 0, 1, 4, 0, 0, 0, 0].repeat(5), vec![6, 0, 1, 4, 0, 0, 0, 0]].concat()),
    ];
    for (first, chain) in chains {
        let syn = Tcp { first_extension: Some(first), options: chain, ..v6() };
        assert_eq!(seen(&syn), (1, 1), "{:?}", syn.first_extension);
    }
}

#[tokio::test]
async fn later_fragments_and_headers_that_are_not_walked_are_ignored() {
    assert_eq!(seen(&Tcp { fragment: 0x2000, ..v4() }), (1, 1), "the first fragment has the ports");
    assert_eq!(seen(&Tcp { fragment: 0x0001, ..v4() }), (0, 0));
    let later = Tcp { first_extension: Some(44), options: vec![6, 0, 0, 9, 0, 0, 0, 9], ..v6() };
    assert_eq!(seen(&later), (0, 0));
    let encrypted = Tcp { first_extension: Some(50), options: vec![0; 8], ..v6() };
    assert_eq!(seen(&encrypted), (0, 0));
    let seven = [[0, 0, 1, 4, 0, 0, 0, 0].repeat(6), vec![6, 0, 1, 4, 0, 0, 0, 0]].concat();
    assert_eq!(seen(&Tcp { first_extension: Some(0), options: seven, ..v6() }), (0, 0));
    let endless = Tcp { first_extension: Some(0), options: [0, 0, 1, 4, 0, 0, 0, 0].repeat(9), ..v6() };
    assert_eq!(seen(&endless), (0, 0));
}
