//! Datagrams of v1 and v2c to notifications, and informs to their acknowledgements (pure). Anything at all may arrive: what is not a
//! notification is `None`, and nothing panics.

use std::net::{IpAddr, Ipv4Addr};

use rasn::types::ObjectIdentifier;
use rasn_smi::{v1 as smi1, v2 as smi2};
use rasn_snmp::{v1, v2, v2c};

/// snmpTrapOID.0 (RFC 3418): the second varbind of a v2c notification.
const TRAP_OID: [u32; 11] = [1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// snmpTrapAddress.0 (RFC 3584 section 3.1): who sent a trap that was relayed.
const TRAP_ADDRESS: [u32; 10] = [1, 3, 6, 1, 6, 3, 18, 1, 3, 0];

/// snmpTraps (RFC 3584 section 3.1): generic trap g of v1 is this and g + 1.
const GENERIC_TRAPS: [u32; 9] = [1, 3, 6, 1, 6, 3, 1, 1, 5];

/// The generic-trap of an enterprise's own trap (RFC 1157 section 4.1.6).
const ENTERPRISE_SPECIFIC: u32 = 6;

/// What a notification of any version says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapContent {
    /// What happened, in the v2 form (RFC 3584 section 3.1).
    pub oid: Vec<u32>,
    /// agent-addr or snmpTrapAddress: who the message says it speaks for.
    pub agent: Option<IpAddr>,
}

/// A trap or an inform of SNMP v1 or v2c.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its community string.
    pub community: Vec<u8>,
    /// What it says.
    pub notice: TrapContent,
    /// What to answer an inform with; `None`: a trap.
    pub acknowledgement: Option<Vec<u8>>,
}

/// Reads a datagram of SNMP v1 or v2c.
pub fn decode(datagram: &[u8]) -> Option<Notification> {
    match version(datagram)? {
        0 => decode_v1(datagram),
        1 => decode_v2c(datagram),
        _ => None,
    }
}

/// Whether it says of itself that it is SNMPv3 (RFC 3412 section 6.1).
pub fn is_v3(datagram: &[u8]) -> bool {
    version(datagram) == Some(3)
}

/// The version field: behind the header of the outer sequence, an integer of one byte.
fn version(datagram: &[u8]) -> Option<u8> {
    let (&[0x30, length], _) = datagram.split_first_chunk::<2>()? else { return None };
    let header = if length < 0x80 { 2 } else { 2 + usize::from(length & 0x7f) };
    match datagram.get(header..header + 3)? {
        [0x02, 0x01, version] => Some(*version),
        _ => None,
    }
}

fn decode_v1(datagram: &[u8]) -> Option<Notification> {
    let message: v1::Message<v1::Pdus> = rasn::ber::decode(datagram).ok()?;
    let v1::Pdus::Trap(trap) = message.data else { return None };
    let smi1::NetworkAddress::Internet(agent) = trap.agent_addr;
    let agent: [u8; 4] = agent.0.as_ref().try_into().ok()?;
    let generic: u32 = trap.generic_trap.try_into().ok()?;
    let specific: u32 = trap.specific_trap.try_into().ok()?;
    let oid = if generic == ENTERPRISE_SPECIFIC {
        let mut oid = trap.enterprise.to_vec();
        oid.extend([0, specific]);
        oid
    } else {
        let mut oid = GENERIC_TRAPS.to_vec();
        oid.push(generic.checked_add(1)?);
        oid
    };
    let agent = Ipv4Addr::from(agent);
    Some(Notification {
        community: message.community.to_vec(),
        notice: TrapContent { oid, agent: (!agent.is_unspecified()).then_some(IpAddr::V4(agent)) },
        acknowledgement: None,
    })
}

fn decode_v2c(datagram: &[u8]) -> Option<Notification> {
    let message: v2c::Message<v2::Pdus> = rasn::ber::decode(datagram).ok()?;
    let (pdu, wants_acknowledgement) = match message.data {
        v2::Pdus::Trap(v2::Trap(pdu)) => (pdu, false),
        v2::Pdus::InformRequest(v2::InformRequest(pdu)) => (pdu, true),
        _ => return None,
    };
    let notice = notice(&pdu)?;
    let community = message.community.to_vec();
    let acknowledgement = if wants_acknowledgement {
        let answer = v2c::Message {
            version: message.version,
            community: message.community,
            data: v2::Response(v2::Pdu { error_status: 0, error_index: 0, ..pdu }),
        };
        Some(rasn::ber::encode(&answer).ok()?)
    } else {
        None
    };
    Some(Notification { community, notice, acknowledgement })
}

/// What a v2 PDU notifies of (RFC 3416 section 4.2.6).
pub fn notice(pdu: &v2::Pdu) -> Option<TrapContent> {
    let oid = value(pdu, &TRAP_OID).and_then(|value| match value {
        smi2::ObjectSyntax::Simple(smi2::SimpleSyntax::ObjectId(oid)) => Some(oid.to_vec()),
        _ => None,
    })?;
    let agent = value(pdu, &TRAP_ADDRESS).and_then(|value| match value {
        smi2::ObjectSyntax::ApplicationWide(smi2::ApplicationSyntax::Address(address)) => {
            <[u8; 4]>::try_from(address.0.as_ref()).ok().map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)))
        }
        _ => None,
    });
    Some(TrapContent { oid, agent })
}

fn value<'a>(pdu: &'a v2::Pdu, name: &[u32]) -> Option<&'a smi2::ObjectSyntax> {
    let bind = pdu.variable_bindings.iter().find(|bind| is(&bind.name, name))?;
    match &bind.value {
        v2::VarBindValue::Value(value) => Some(value),
        _ => None,
    }
}

fn is(oid: &ObjectIdentifier, arcs: &[u32]) -> bool {
    let oid: &[u32] = oid;
    oid == arcs
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::decode;

    /// `snmptrap -v 1 -c public HOST '' '' 0 0 100`: coldStart.
    const COLD_START_V1: &[u8] = &[
        0x30, 0x27, 0x02, 0x01, 0x00, 0x04, 0x06, b'p', b'u', b'b', b'l', b'i', b'c', 0xa4, 0x1a, 0x06, 0x0a, 0x2b,
        0x06, 0x01, 0x04, 0x01, 0xbf, 0x08, 0x03, 0x02, 0x0a, 0x40, 0x04, 0x7f, 0x00, 0x00, 0x01, 0x02, 0x01, 0x00,
        0x02, 0x01, 0x00, 0x43, 0x01, 0x64, 0x30, 0x00,
    ];

    #[test]
    fn a_generic_v1_trap_has_its_v2_name() {
        let mut datagram = COLD_START_V1.to_vec();
        datagram[1] = u8::try_from(datagram.len() - 2).unwrap();
        datagram[14] = u8::try_from(datagram.len() - 15).unwrap();
        let trap = decode(&datagram).unwrap();
        assert_eq!(trap.notice.oid, [1, 3, 6, 1, 6, 3, 1, 1, 5, 1]);
        assert_eq!(trap.community, b"public");
        assert_eq!(trap.notice.agent, Some([127, 0, 0, 1].into()));
        assert_eq!(trap.acknowledgement, None);
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_makes_the_decoder_panic(
            changes in proptest::collection::vec((0..COLD_START_V1.len(), any::<u8>()), 0..8),
            cut in 0..=COLD_START_V1.len(),
        ) {
            let mut datagram = COLD_START_V1.to_vec();
            for (place, byte) in changes {
                datagram[place] = byte;
            }
            datagram.truncate(cut);
            let _ = decode(&datagram);
        }

        #[test]
        fn noise_is_no_notification(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&noise);
        }
    }
}
