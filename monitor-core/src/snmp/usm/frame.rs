//! SNMPv3 datagrams to their parts, and back (RFC 3412 section 6, RFC 3414 section 2.4; pure).
//!
//! The digest covers the datagram as it was sent, so its place is found in the received bytes and never by encoding
//! what was decoded: two encodings of one message need not be the same.

use std::ops::Range;

use rasn_snmp::v3::{HeaderData, Message, ScopedPdu, ScopedPduData, USMSecurityParameters};

use super::keys::{Encrypted, Protection};

/// msgSecurityModel of USM (RFC 3411 section 5).
const USM: u32 = 3;

/// msgMaxSize that we can take: the largest UDP payload.
const LARGEST: u32 = 65_507;

const AUTH_FLAG: u8 = 1;
const PRIVACY_FLAG: u8 = 2;
const REPORTABLE_FLAG: u8 = 4;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;

/// A received datagram. Nothing of it is authentic yet.
pub(super) struct Frame {
    pub(super) message: i32,
    pub(super) authenticated: bool,
    pub(super) encrypted: bool,
    /// Whether the sender wants to know why a message is refused: it is not a trap.
    pub(super) reportable: bool,
    pub(super) engine: Vec<u8>,
    pub(super) boots: u32,
    pub(super) time: u32,
    pub(super) user: Vec<u8>,
    /// Where the digest lies in the datagram.
    pub(super) digest: Range<usize>,
    pub(super) salt: Vec<u8>,
    pub(super) scoped: ScopedPduData,
}

impl Frame {
    /// Reads a datagram of SNMPv3 with the user-based security model.
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        let message: Message = rasn::ber::decode(datagram).ok()?;
        let header = message.global_data;
        if u32::try_from(header.security_model).ok()? != USM {
            return None;
        }
        let &[flags] = header.flags.as_ref() else { return None };
        let parameters: USMSecurityParameters = rasn::ber::decode(&message.security_parameters).ok()?;
        let digest = digest_of(datagram)?;
        // Two readings of one datagram that differ are how digests are circumvented.
        if datagram.get(digest.clone())? != parameters.authentication_parameters.as_ref() {
            return None;
        }
        let (authenticated, encrypted) = (flags & AUTH_FLAG != 0, flags & PRIVACY_FLAG != 0);
        if encrypted && !authenticated {
            return None;
        }
        Some(Self {
            message: header.message_id.try_into().ok()?,
            authenticated,
            encrypted,
            reportable: flags & REPORTABLE_FLAG != 0,
            engine: parameters.authoritative_engine_id.to_vec(),
            boots: parameters.authoritative_engine_boots.try_into().ok()?,
            time: parameters.authoritative_engine_time.try_into().ok()?,
            user: parameters.user_name.to_vec(),
            digest,
            salt: parameters.privacy_parameters.to_vec(),
            scoped: message.scoped_data,
        })
    }
}

/// What a message that we send says of itself.
pub(super) struct Header<'a> {
    pub(super) message: i32,
    pub(super) engine: &'a [u8],
    pub(super) boots: u32,
    pub(super) time: u32,
    pub(super) user: &'a [u8],
}

/// Writes a message.
pub(super) fn write(header: &Header<'_>, scoped: ScopedPdu, protection: Protection<'_>) -> Option<Vec<u8>> {
    let (flags, keys) = match protection {
        Protection::None => (0, None),
        Protection::Signed(keys) => (AUTH_FLAG, Some(keys)),
        Protection::Encrypted(keys) => (AUTH_FLAG | PRIVACY_FLAG, Some(keys)),
    };
    let (data, salt) = match protection {
        Protection::Encrypted(keys) => {
            let clear = rasn::ber::encode(&scoped).ok()?;
            let Encrypted { bytes, salt } = keys.encrypt(&clear, header.boots, header.time)?;
            (ScopedPduData::EncryptedPdu(bytes.into()), salt)
        }
        Protection::None | Protection::Signed(_) => (ScopedPduData::CleartextPdu(scoped), Vec::new()),
    };
    let digest = vec![0; keys.map_or(0, |keys| keys.digest_length())];
    let parameters = USMSecurityParameters {
        authoritative_engine_id: header.engine.to_vec().into(),
        authoritative_engine_boots: header.boots.into(),
        authoritative_engine_time: header.time.into(),
        user_name: header.user.to_vec().into(),
        authentication_parameters: digest.into(),
        privacy_parameters: salt.into(),
    };
    let message = Message {
        version: 3.into(),
        global_data: HeaderData {
            message_id: header.message.into(),
            max_size: LARGEST.into(),
            flags: vec![flags].into(),
            security_model: USM.into(),
        },
        security_parameters: rasn::ber::encode(&parameters).ok()?.into(),
        scoped_data: data,
    };
    let mut datagram = rasn::ber::encode(&message).ok()?;
    if let Some(keys) = keys {
        let place = digest_of(&datagram)?;
        keys.sign(&mut datagram, place)?;
    }
    Some(datagram)
}

/// Where msgAuthenticationParameters lies in a message.
fn digest_of(datagram: &[u8]) -> Option<Range<usize>> {
    let message = value(datagram, 0, SEQUENCE)?;
    let version = value(datagram, message.start, INTEGER)?;
    let header = value(datagram, version.end, SEQUENCE)?;
    let security = value(datagram, header.end, OCTET_STRING)?;
    let parameters = value(datagram, security.start, SEQUENCE)?;
    let engine = value(datagram, parameters.start, OCTET_STRING)?;
    let boots = value(datagram, engine.end, INTEGER)?;
    let time = value(datagram, boots.end, INTEGER)?;
    let user = value(datagram, time.end, OCTET_STRING)?;
    value(datagram, user.end, OCTET_STRING)
}

/// Where the value of the BER element at `start` lies, if it has this tag and ends within the datagram.
fn value(datagram: &[u8], start: usize, tag: u8) -> Option<Range<usize>> {
    let (&[found, length], rest) = datagram.get(start..)?.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (more, length) = match length {
        ..=0x7f => (0, usize::from(length)),
        // A UDP payload needs at most three bytes of length; the indefinite form (0x80) is not for SNMP (RFC 3417).
        0x81..=0x83 => {
            let more = usize::from(length & 0x7f);
            (more, rest.get(..more)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        }
        _ => return None,
    };
    let from = start + 2 + more;
    let value = from..from.checked_add(length)?;
    datagram.get(value.clone())?;
    Some(value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use rasn_snmp::{
        v2::{Pdu, Pdus, Response},
        v3::{ScopedPdu, ScopedPduData},
    };

    use super::{Frame, Header, Protection, value, write};

    fn datagram() -> Vec<u8> {
        let header = Header { message: 77, engine: &[0x80, 0, 0, 0, 1], boots: 3, time: 4, user: b"jo" };
        let pdu = Pdu { request_id: 5, error_status: 0, error_index: 0, variable_bindings: Vec::new() };
        let scoped =
            ScopedPdu { engine_id: vec![1].into(), name: Vec::new().into(), data: Pdus::Response(Response(pdu)) };
        write(&header, scoped, Protection::None).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let frame = Frame::read(&datagram()).unwrap();
        assert_eq!((frame.message, frame.boots, frame.time), (77, 3, 4));
        assert_eq!((frame.engine.as_slice(), frame.user.as_slice()), ([0x80, 0, 0, 0, 1].as_slice(), b"jo".as_slice()));
        assert!(frame.digest.is_empty() && !frame.authenticated && !frame.encrypted && !frame.reportable);
        assert!(matches!(frame.scoped, ScopedPduData::CleartextPdu(_)));
    }

    #[test]
    fn an_element_that_is_longer_than_the_datagram_is_none() {
        assert_eq!(value(&[4, 1, 9], 0, 4), Some(2..3));
        assert_eq!(value(&[4, 0x81, 1, 9], 0, 4), Some(3..4));
        assert_eq!(value(&[4, 2, 9], 0, 4), None);
        assert_eq!(value(&[4, 0x83, 0xff, 0xff, 0xff], 0, 4), None);
        assert_eq!(value(&[4, 0x80, 9, 0, 0], 0, 4), None);
        assert_eq!(value(&[2, 1, 9], 0, 4), None);
        assert_eq!(value(&[4], 0, 4), None);
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_makes_the_reader_panic(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut datagram = datagram();
            for (place, byte) in changes {
                let place = place.index(datagram.len());
                datagram[place] = byte;
            }
            datagram.truncate(cut.index(datagram.len() + 1));
            let _ = Frame::read(&datagram);
        }
    }
}
