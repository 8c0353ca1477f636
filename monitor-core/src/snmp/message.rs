//! Datagrams of v1 and v2c to notifications, and informs to their acknowledgements (pure). Anything at all may arrive: what is not a
//! notification is `None`, and nothing panics.

pub use super::pdu::TrapContent;
use super::{
    ber::{self, Element, INTEGER, IP_ADDRESS, NSAP_ADDRESS, OCTET_STRING, OPAQUE, Reader, SEQUENCE},
    pdu::{self, NotificationPdu},
};

/// version of v1 and of v2c (RFC 3584 section 5.1): messages with a community.
const COMMUNITY_BASED: [i32; 2] = [0, 1];

/// msgVersion of SNMPv3 (RFC 3412 section 6.1).
pub(super) const V3: i32 = 3;

/// Types in which net-snmp takes a community.
const STRINGS: [u8; 4] = [OCTET_STRING, IP_ADDRESS, OPAQUE, NSAP_ADDRESS];

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
    let (version, mut fields) = message(datagram)?;
    if !COMMUNITY_BASED.contains(&version.integer()?) {
        return None;
    }
    let community = fields.element().filter(|community| STRINGS.contains(&community.tag))?;
    let NotificationPdu { content, response } = pdu::notification(fields.element()?)?;
    let acknowledge = |response: Vec<u8>| ber::write(SEQUENCE, &[version.whole, community.whole, &response]);
    Some(Notification {
        community: community.content.to_vec(),
        notice: content,
        acknowledgement: response.map(acknowledge),
    })
}

/// Whether it says of itself that it is SNMPv3 (RFC 3412 section 6.1).
pub fn is_v3(datagram: &[u8]) -> bool {
    message(datagram).and_then(|(version, _)| version.integer()) == Some(V3)
}

/// The version of a message, and what is behind it. What is behind the message itself is nobody's.
pub(super) fn message(datagram: &[u8]) -> Option<(Element<'_>, Reader<'_>)> {
    let mut fields = Reader::new(datagram).tagged(SEQUENCE)?.elements();
    let version = fields.tagged(INTEGER)?;
    Some((version, fields))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
#[path = "message_tests.rs"]
mod tests;
