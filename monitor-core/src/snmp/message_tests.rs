use proptest::prelude::*;
use rasn_snmp::{v2, v2c};

use super::{
    super::ber::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, write},
    Notification, decode, is_v3,
};

/// `snmptrap -v 1 -c public HOST '' '' 0 0 100`: coldStart.
const COLD_START_V1: &[u8] = &[
    0x30, 0x2a, 0x02, 0x01, 0x00, 0x04, 0x06, b'p', b'u', b'b', b'l', b'i', b'c', 0xa4, 0x1d, 0x06, 0x0a, 0x2b, 0x06,
    0x01, 0x04, 0x01, 0xbf, 0x08, 0x03, 0x02, 0x0a, 0x40, 0x04, 0x7f, 0x00, 0x00, 0x01, 0x02, 0x01, 0x00, 0x02, 0x01,
    0x00, 0x43, 0x01, 0x64, 0x30, 0x00,
];

const COLD_START: [u32; 10] = [1, 3, 6, 1, 6, 3, 1, 1, 5, 1];
const LINK_UP: [u32; 10] = [1, 3, 6, 1, 6, 3, 1, 1, 5, 4];

/// A snmpTrapOID.0 varbind of coldStart.
const TRAP_OID: &[u8] =
    &[0x30, 0x17, 0x06, 0x0a, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0, 0x06, 0x09, 0x2b, 6, 1, 6, 3, 1, 1, 5, 1];
/// A snmpTrapAddress.0 of this type and content.
fn trap_address(tag: u8, content: &[u8]) -> Vec<u8> {
    varbind(&[0x2b, 6, 1, 6, 3, 18, 1, 3, 0], tag, content)
}

const TRAP: u8 = 0xa7;
const INFORM: u8 = 0xa6;

fn varbind(name: &[u8], tag: u8, content: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[&write(OBJECT_IDENTIFIER, &[name]), &write(tag, &[content])])
}

fn message(version: u8, pdu: u8, varbinds: &[u8]) -> Vec<u8> {
    let fields = [&[2, 1, 7, 2, 1, 0, 2, 1, 0][..], &write(SEQUENCE, &[varbinds])];
    let community = write(OCTET_STRING, &[b"public"]);
    write(SEQUENCE, &[&write(INTEGER, &[&[version]]), &community, &write(pdu, &fields)])
}

/// Every datagram of the table, with its name.
fn odd() -> Vec<(&'static str, Vec<u8>)> {
    let byte = |digits: &[u8; 2]| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
    let lines = include_str!("odd_datagrams.txt").lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| line.rsplit_once(": ").unwrap());
    lines.map(|(name, digits)| (name, digits.as_bytes().as_chunks::<2>().0.iter().map(byte).collect())).collect()
}

/// request-id and varbinds of a v2 PDU, as they were sent.
fn echoed(datagram: &[u8]) -> (u8, Vec<u8>) {
    let mut fields = Reader::new(datagram).element().unwrap().elements();
    let (version, community, pdu) = (fields.element().unwrap(), fields.element().unwrap(), fields.element().unwrap());
    let mut parts = pdu.elements();
    let request = parts.element().unwrap();
    let (_status, _index) = (parts.element(), parts.element());
    let bindings = parts.element().unwrap();
    (pdu.tag, [version.whole, community.whole, request.whole, bindings.whole].concat())
}

#[test]
fn a_generic_v1_trap_has_its_v2_name() {
    let trap = decode(COLD_START_V1).unwrap();
    assert_eq!(trap.notice.oid, COLD_START);
    assert_eq!(trap.community, b"public");
    assert_eq!(trap.notice.agent, Some([127, 0, 0, 1].into()));
    assert_eq!(trap.acknowledgement, None);
}

#[test]
fn an_enterprises_v1_trap_has_its_v2_name() {
    let mut datagram = COLD_START_V1.to_vec();
    datagram[35] = 6;
    for (specific, last) in [(7, 7), (0xff, u32::MAX)] {
        datagram[38] = specific;
        assert_eq!(decode(&datagram).unwrap().notice.oid, [1, 3, 6, 1, 4, 1, 8072, 3, 2, 10, 0, last]);
    }
    // There the enterprise is needed.
    datagram[15] = 4;
    assert_eq!(decode(&datagram), None);
}

#[test]
fn every_odd_datagram_that_net_snmp_takes_is_taken() {
    let odd = odd();
    assert!(odd.len() > 50);
    for (name, datagram) in odd {
        let Some(Notification { community, notice, acknowledgement }) = decode(&datagram) else { panic!("{name}") };
        assert_eq!(community, b"public", "{name}");
        assert!([COLD_START, LINK_UP].contains(&notice.oid.as_slice().try_into().unwrap()), "{name}: {notice:?}");
        let nobody = ["agent-addr of 0 bytes", "agent-addr of 3 bytes"].iter().any(|odd| name.contains(odd));
        let agent = name.starts_with("v1") && !nobody;
        assert_eq!(notice.agent, agent.then_some([10, 2, 2, 2].into()), "{name}");
        assert_eq!(acknowledgement.is_some(), name.starts_with("inform"), "{name}");
        assert!(!is_v3(&datagram), "{name}");
    }
}

#[test]
fn an_acknowledgement_repeats_the_inform_byte_for_byte() {
    for (name, datagram) in odd().into_iter().filter(|(name, _)| name.starts_with("inform")) {
        let acknowledgement = decode(&datagram).unwrap().acknowledgement.unwrap();
        let ((asked, sent), (answered, echo)) = (echoed(&datagram), echoed(&acknowledgement));
        assert_eq!((asked, answered), (0xa6, 0xa2), "{name}");
        assert_eq!(echo, sent, "{name}");
        assert_eq!(decode(&acknowledgement), None, "{name}");
    }
}

#[test]
fn what_is_cut_is_refused_wherever_it_is_cut() {
    for (name, datagram) in odd() {
        let whole = Reader::new(&datagram).element().unwrap().whole.len();
        for cut in 0..whole {
            assert_eq!(decode(&datagram[..cut]), None, "{name}: {cut}");
        }
    }
}

#[test]
fn a_length_that_leads_out_of_what_it_is_in_is_refused_wherever_it_is() {
    let odd = varbind(&[0x2b, 1], OCTET_STRING, b"a");
    refused_if_a_length_is_longer(&message(1, TRAP, &[TRAP_OID, &odd].concat()), 14);
    let pdu = write(0xa4, &[&COLD_START_V1[15..42], &write(SEQUENCE, &[&odd])]);
    refused_if_a_length_is_longer(&write(SEQUENCE, &[&COLD_START_V1[2..13], &pdu]), 13);
}

fn refused_if_a_length_is_longer(datagram: &[u8], elements: usize) {
    assert!(decode(datagram).is_some());
    let mut lengths = Vec::new();
    let mut open = vec![Reader::new(datagram)];
    while let Some(mut reader) = open.pop() {
        while let Some(element) = reader.element() {
            lengths.push(element.start - 1);
            if element.tag & 0x20 != 0 {
                open.push(element.elements());
            }
        }
    }
    assert_eq!(lengths.len(), elements);
    for place in lengths {
        for longer in [0x7f, 0x80, 0x84, 0xff] {
            let mut changed = datagram.to_vec();
            changed[place] = longer;
            assert_eq!(decode(&changed), None, "{longer:x} at {place}");
        }
    }
}

#[test]
fn what_is_no_notification_of_a_community_is_none() {
    for (version, pdu) in [(1, 0xa0), (1, 0xa2), (1, 0xa5), (1, 0xa8), (0, 0x30), (2, TRAP), (3, TRAP), (0xff, TRAP)] {
        assert_eq!(decode(&message(version, pdu, TRAP_OID)), None, "{version} {pdu:x}");
    }
    assert!(is_v3(&message(3, TRAP, TRAP_OID)));
    // No snmpTrapOID.0.
    assert_eq!(decode(&message(1, TRAP, &[])), None);
    assert_eq!(decode(&message(1, TRAP, &varbind(&[0x2b, 6], INTEGER, &[1]))), None);
    let mut constructed = message(1, TRAP, TRAP_OID);
    constructed[5] = 0x24;
    assert_eq!(decode(&constructed), None);
}

#[test]
fn an_inform_whose_trap_oid_is_none_says_nothing_and_is_acknowledged_as_by_net_snmp() {
    let name = [0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0];
    for (tag, content) in [(INTEGER, &[1][..]), (OCTET_STRING, b"x"), (OBJECT_IDENTIFIER, &[]), (5, &[])] {
        let notification = decode(&message(1, INFORM, &varbind(&name, tag, content))).unwrap();
        assert_eq!(notification.notice.oid, [0, 0]);
        assert!(notification.acknowledgement.is_some());
    }
}

#[test]
fn only_an_address_names_an_agent() {
    let agent = |binding: &[u8]| decode(&message(1, TRAP, &[TRAP_OID, binding].concat())).unwrap().notice.agent;
    assert_eq!(agent(&trap_address(0x40, &[10, 0, 0, 9])), Some([10, 0, 0, 9].into()));
    for (tag, content) in
        [(0x40, &[0; 4][..]), (0x40, &[]), (0x40, &[1; 3]), (0x40, &[1; 16]), (INTEGER, &[1; 4]), (5, &[])]
    {
        assert_eq!(agent(&trap_address(tag, content)), None, "{tag:x} {content:x?}");
    }
}

#[test]
fn varbinds_that_are_none_are_skipped() {
    for binding in [
        &[0x30, 0][..],
        &[0x30, 3, 6, 1, 0x2b],
        &[0x31, 2, 0xff, 0xff],
        &[5, 0],
        &[0x30, 6, 4, 1, b'a', 2, 1, 5],
        &[0x30, 6, 6, 1, 0x81, 2, 1, 5],
        &[0x30, 9, 6, 1, 0x2b, 2, 1, 5, 2, 1, 6],
        // A tag of two bytes.
        &[0x30, 8, 6, 1, 0x2b, 0x9f, 0x78, 2, 1, 1],
    ] {
        for varbinds in [[binding, TRAP_OID].concat(), [TRAP_OID, binding].concat()] {
            let found = decode(&message(1, TRAP, &varbinds)).map(|found| found.notice.oid);
            assert_eq!(found.as_deref(), Some(&COLD_START[..]), "{binding:x?}");
        }
    }
}

#[test]
fn a_varbind_whose_length_holds_the_next_one_is_read_as_by_net_snmp() {
    for next in [varbind(&[0x2b, 6, 1], INTEGER, &[5]), varbind(&[0x2b, 6, 1], OCTET_STRING, &[9; 9])] {
        // Into the middle of the next one, and to its end.
        for more in [3, u8::try_from(next.len()).unwrap()] {
            let mut longer = TRAP_OID.to_vec();
            longer[1] += more;
            for varbinds in [[&longer, &next[..], &next].concat(), [&next[..], &longer, &next].concat()] {
                let found = decode(&message(1, TRAP, &varbinds)).map(|found| found.notice.oid);
                assert_eq!(found.as_deref(), Some(&COLD_START[..]), "{more}");
            }
            let v1 = |varbinds: &[u8]| {
                let pdu = write(0xa4, &[&COLD_START_V1[15..42], &write(SEQUENCE, &[varbinds])]);
                decode(&write(SEQUENCE, &[&COLD_START_V1[2..13], &pdu]))
            };
            assert_eq!(v1(&[&longer, &next[..]].concat()), decode(COLD_START_V1), "{more}");
        }
    }
}

/// A varbind of any name, type and content, but none that is read.
fn any_varbind() -> impl Strategy<Value = Vec<u8>> {
    let content = || proptest::collection::vec(any::<u8>(), 0..40);
    (content(), any::<u8>(), prop_oneof![content().boxed(), proptest::collection::vec(any::<u8>(), 120..300).boxed()])
        .prop_map(|(name, tag, content)| varbind(&[&[0x2a], name.as_slice()].concat(), tag, &content))
}

proptest! {
    #[test]
    fn a_trap_is_found_among_any_varbinds(
        before in proptest::collection::vec(any_varbind(), 0..6),
        after in proptest::collection::vec(any_varbind(), 0..6),
        version in 0_u8..2,
        inform in any::<bool>(),
    ) {
        let varbinds = [before.concat(), TRAP_OID.to_vec(), trap_address(0x40, &[10, 0, 0, 9]), after.concat()].concat();
        let datagram = message(version, if inform { INFORM } else { TRAP }, &varbinds);
        let found = decode(&datagram).unwrap();
        prop_assert_eq!(found.notice.oid, COLD_START);
        prop_assert_eq!(found.notice.agent, Some([10, 0, 0, 9].into()));
        prop_assert_eq!(found.acknowledgement.is_some(), inform);
        if let Some(acknowledgement) = found.acknowledgement {
            prop_assert_eq!(echoed(&acknowledgement).1, echoed(&datagram).1);
        }
    }

    #[test]
    fn a_v1_trap_is_found_with_any_varbinds(varbinds in proptest::collection::vec(any_varbind(), 0..6)) {
        let pdu = &COLD_START_V1[15..COLD_START_V1.len() - 2];
        let pdu = write(0xa4, &[pdu, &write(SEQUENCE, &[&varbinds.concat()])]);
        let datagram = write(SEQUENCE, &[&COLD_START_V1[2..13], &pdu]);
        prop_assert_eq!(decode(&datagram), decode(COLD_START_V1));
    }

    /// rasn, which reads to the letter, is the other reader.
    #[test]
    fn what_rasn_reads_is_read_alike(request in any::<i32>(), text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let datagram = message(1, INFORM, &[TRAP_OID, &varbind(&[0x2b, 6, 1], OCTET_STRING, &text)].concat());
        let mut sent: v2c::Message<v2::Pdus> = rasn::ber::decode(&datagram).unwrap();
        let v2::Pdus::InformRequest(inform) = &mut sent.data else { panic!("{sent:?}") };
        inform.0.request_id = request;
        let answer = decode(&rasn::ber::encode(&sent).unwrap()).unwrap().acknowledgement.unwrap();
        let answer: v2c::Message<v2::Pdus> = rasn::ber::decode(&answer).unwrap();
        let (v2::Pdus::InformRequest(asked), v2::Pdus::Response(answered)) = (sent.data, answer.data) else {
            panic!("no response")
        };
        prop_assert_eq!(answered.0, asked.0);
        prop_assert_eq!((answer.version, answer.community), (sent.version, sent.community));
    }

    #[test]
    fn nothing_that_arrives_makes_the_decoder_panic_or_has_a_community_that_it_did_not_say(
        which in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let odd = odd();
        let mut datagram = odd[which.index(odd.len())].1.clone();
        for (place, byte) in changes {
            let place = place.index(datagram.len());
            datagram[place] = byte;
        }
        if let Some(found) = decode(&datagram) {
            let said = write(OCTET_STRING, &[&found.community]);
            let said = said.get(2..).unwrap_or_default();
            prop_assert!(said.is_empty() || datagram.windows(said.len()).any(|bytes| bytes == said));
        }
    }

    #[test]
    fn noise_is_no_notification(noise in proptest::collection::vec(any::<u8>(), 0..300), sequence in any::<bool>()) {
        let datagram = if sequence { write(SEQUENCE, &[&noise]) } else { noise };
        if let Some(found) = decode(&datagram) {
            prop_assert_ne!(found.community, b"public");
        }
    }
}
