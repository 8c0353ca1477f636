//! PDUs to what they notify of, and informs to their answers (RFC 1157 section 4.1.6, RFC 3416 section 4.2; pure).
//!
//! What need not be read cannot spoil what must: of a notification only the OID and the named agent are read. Of everything
//! else it is enough that it ends within what it is in.

use std::net::{IpAddr, Ipv4Addr};

use super::ber::{self, Element, IP_ADDRESS, OCTET_STRING, Reader, SEQUENCE, ZERO_DOT_ZERO};

/// snmpTrapOID.0 (RFC 3418): the second varbind of a v2 notification.
const TRAP_OID: [u32; 11] = [1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// snmpTrapAddress.0 (RFC 3584 section 3.1): who sent a trap that was relayed.
const TRAP_ADDRESS: [u32; 10] = [1, 3, 6, 1, 6, 3, 18, 1, 3, 0];

/// snmpTraps (RFC 3584 section 3.1): generic trap g of v1 is this and g + 1.
const GENERIC_TRAPS: [u32; 9] = [1, 3, 6, 1, 6, 3, 1, 1, 5];

/// The generic-trap of an enterprise's own trap (RFC 1157 section 4.1.6).
const ENTERPRISE_SPECIFIC: i32 = 6;

/// Trap-PDU of v1.
const TRAP_V1: u8 = 0xa4;
/// SNMPv2-Trap-PDU.
const TRAP_V2: u8 = 0xa7;
/// InformRequest-PDU.
const INFORM: u8 = 0xa6;
/// Response-PDU.
const RESPONSE: u8 = 0xa2;

/// PDUs that are answered, by the same request-id (RFC 3411 section 2.8): Get, GetNext, Set, GetBulk, Inform.
const CONFIRMED: [u8; 5] = [0xa0, 0xa1, 0xa3, 0xa5, INFORM];

/// error-status and error-index of a response that reports none.
const NO_ERROR: &[u8] = &[0x02, 0x01, 0x00];

/// What a notification of any version says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapContent {
    /// What happened, in the v2 form (RFC 3584 section 3.1). It is 0.0 if the notification has a snmpTrapOID that is no OID.
    pub oid: Vec<u32>,
    /// agent-addr or snmpTrapAddress: who the message says it speaks for. `None` if it names nobody, such as 0.0.0.0.
    pub agent: Option<IpAddr>,
}

/// A PDU that notifies.
pub(super) struct NotificationPdu {
    pub(super) content: TrapContent,
    /// The Response-PDU that acknowledges an inform: its request-id and varbinds are those of the inform, byte for byte.
    pub(super) response: Option<Vec<u8>>,
}

/// Reads a trap or an inform. The PDU decides what it is, not the version of its message: there are agents that send v2 traps in
/// messages of v1.
pub(super) fn notification(pdu: Element<'_>) -> Option<NotificationPdu> {
    match pdu.tag {
        TRAP_V1 => Some(NotificationPdu { content: trap_v1(pdu)?, response: None }),
        TRAP_V2 | INFORM => {
            let mut fields = pdu.elements();
            let request = fields.element()?;
            let (_error_status, _error_index) = (fields.element()?, fields.element()?);
            let bindings = fields.tagged(SEQUENCE)?;
            let response = || ber::write(RESPONSE, &[request.whole, NO_ERROR, NO_ERROR, bindings.whole]);
            Some(NotificationPdu { content: content(bindings)?, response: (pdu.tag == INFORM).then(response) })
        }
        _ => None,
    }
}

/// Whether it is a trap of any version.
pub(super) fn is_trap(pdu: Element<'_>) -> bool {
    [TRAP_V1, TRAP_V2].contains(&pdu.tag)
}

/// The request-id of a PDU that is to be answered.
pub(super) fn request_id(pdu: Element<'_>) -> Option<i32> {
    if CONFIRMED.contains(&pdu.tag) { pdu.elements().element()?.integer() } else { None }
}

fn trap_v1(pdu: Element<'_>) -> Option<TrapContent> {
    let mut fields = pdu.elements();
    let (enterprise, agent) = (fields.element()?, fields.element()?);
    let generic = fields.element()?.integer()?;
    let specific = fields.element()?;
    // time-stamp and variable-bindings
    let _time = fields.element_or_end()?;
    if fields.element_or_end()?.is_some_and(|bindings| !end_within(bindings)) {
        return None;
    }
    let oid = if generic == ENTERPRISE_SPECIFIC {
        let mut oid = enterprise.oid()?;
        oid.extend([0, specific.integer()?.cast_unsigned()]);
        oid
    } else {
        let mut oid = GENERIC_TRAPS.to_vec();
        oid.push(generic.cast_unsigned().wrapping_add(1));
        oid
    };
    Some(TrapContent { oid, agent: address(agent) })
}

/// Where the varbind behind another one begins.
#[derive(Clone, Copy)]
enum Next {
    /// Where the length of that one says.
    Length,
    /// Behind the value of that one, whatever its length says: there net-snmp goes on.
    Value,
}

/// What the varbinds of a v2 notification say.
fn content(bindings: Element<'_>) -> Option<TrapContent> {
    content_by(bindings, Next::Length).or_else(|| content_by(bindings, Next::Value))
}

/// net-snmp looks for snmpTrapOID where it belongs, and then from the front.
fn content_by(bindings: Element<'_>, next: Next) -> Option<TrapContent> {
    let mut bindings = bindings.elements();
    let (mut trap, mut agent) = (None, None);
    let mut place = 0_usize;
    while !bindings.is_empty() {
        let binding = Binding::read(&mut bindings, next)?;
        if binding.is(&TRAP_OID) && (trap.is_none() || place == 1) {
            trap = Some(binding.value);
        } else if binding.is(&TRAP_ADDRESS) && agent.is_none() {
            agent = Some(binding.value);
        }
        place += 1;
    }
    let oid = trap?.and_then(Element::oid).unwrap_or_else(|| ZERO_DOT_ZERO.to_vec());
    Some(TrapContent { oid, agent: agent.flatten().and_then(address) })
}

/// Whether the varbinds end where they must.
fn end_within(bindings: Element<'_>) -> bool {
    let end = |next| {
        let mut bindings = bindings.elements();
        while !bindings.is_empty() {
            Binding::read(&mut bindings, next)?;
        }
        Some(())
    };
    bindings.tag != SEQUENCE || end(Next::Length).or_else(|| end(Next::Value)).is_some()
}

/// One varbind.
struct Binding<'a> {
    /// `None`: it is none that can be read.
    name: Option<Vec<u32>>,
    value: Option<Element<'a>>,
}

impl<'a> Binding<'a> {
    /// The next one; `None` if a length leads out of what it is in.
    fn read(bindings: &mut Reader<'a>, next: Next) -> Option<Self> {
        let start = bindings.clone();
        let binding = Self::of(bindings.element()?)?;
        if let Next::Value = next {
            *bindings = start.behind(binding.value?)?;
        }
        Some(binding)
    }

    fn of(binding: Element<'a>) -> Option<Self> {
        if binding.tag != SEQUENCE {
            return Some(Self { name: None, value: None });
        }
        let mut parts = binding.elements();
        let name = parts.element_or_end()?.and_then(Element::oid);
        // How long such a value is, the varbind's own length says.
        let value = if parts.has_long_tag() { None } else { parts.element_or_end()? };
        Some(Self { name, value })
    }

    fn is(&self, name: &[u32]) -> bool {
        self.name.as_deref() == Some(name)
    }
}

/// An IPv4 address that names somebody: agents that do not know their own send 0.0.0.0, or nothing.
fn address(value: Element<'_>) -> Option<IpAddr> {
    let bytes: [u8; 4] = value.content.try_into().ok()?;
    let address = Ipv4Addr::from(bytes);
    ([IP_ADDRESS, OCTET_STRING].contains(&value.tag) && !address.is_unspecified()).then_some(IpAddr::V4(address))
}
