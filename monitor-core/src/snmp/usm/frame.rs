//! SNMPv3 datagrams to their parts, and back (RFC 3412 section 6, RFC 3414 section 2.4; pure).
//!
//! The digest covers the datagram as it was sent, and the same reading finds its place and everything else: two readings of
//! one datagram that differ are how digests are circumvented. What the PDU says is read once it is authentic.

use std::ops::Range;

use rasn_snmp::v3::{HeaderData, USMSecurityParameters};

use super::{
    super::{
        ber::{self, Element, INTEGER, OCTET_STRING, Reader, SEQUENCE},
        message::{self, V3},
    },
    keys::{Encrypted, Protection},
};

/// msgSecurityModel of USM (RFC 3411 section 5).
const USM: u32 = 3;

/// msgMaxSize that we can take: the largest UDP payload.
const LARGEST: u32 = 65_507;

const AUTH_FLAG: u8 = 1;
const PRIVACY_FLAG: u8 = 2;
const REPORTABLE_FLAG: u8 = 4;

/// A received datagram. Nothing of it is authentic yet.
pub(super) struct Frame<'a> {
    pub(super) message: i32,
    pub(super) authenticated: bool,
    pub(super) encrypted: bool,
    /// Whether the sender wants to know why a message is refused: it is not a trap.
    pub(super) reportable: bool,
    pub(super) engine: &'a [u8],
    pub(super) boots: u32,
    pub(super) time: u32,
    pub(super) user: &'a [u8],
    /// Where the digest lies in the datagram.
    pub(super) digest: Range<usize>,
    pub(super) salt: &'a [u8],
    /// msgData: a scoped PDU, or an OCTET STRING with an encrypted one.
    data: Element<'a>,
}

impl<'a> Frame<'a> {
    /// Reads a datagram of SNMPv3 with the user-based security model.
    pub(super) fn read(datagram: &'a [u8]) -> Option<Self> {
        let (version, mut fields) = message::message(datagram)?;
        let mut header = fields.tagged(SEQUENCE)?.elements();
        let id = header.tagged(INTEGER)?;
        // We are asked for less than any sender takes.
        let _max_size = header.element()?;
        let &[flags] = header.tagged(OCTET_STRING)?.content else { return None };
        let model = header.tagged(INTEGER)?;
        if version.integer() != Some(V3) || model.unsigned() != Some(USM) {
            return None;
        }
        let mut security = fields.tagged(OCTET_STRING)?.elements().tagged(SEQUENCE)?.elements();
        let engine = security.tagged(OCTET_STRING)?;
        let (boots, time) = (security.tagged(INTEGER)?, security.tagged(INTEGER)?);
        let user = security.tagged(OCTET_STRING)?;
        let digest = security.tagged(OCTET_STRING)?;
        let salt = security.tagged(OCTET_STRING)?;
        let data = fields.element().filter(|data| [SEQUENCE, OCTET_STRING].contains(&data.tag))?;
        let (authenticated, encrypted) = (flags & AUTH_FLAG != 0, flags & PRIVACY_FLAG != 0);
        if encrypted && !authenticated {
            return None;
        }
        Some(Self {
            message: id.integer()?,
            authenticated,
            encrypted,
            reportable: flags & REPORTABLE_FLAG != 0,
            engine: engine.content,
            boots: boots.unsigned()?,
            time: time.unsigned()?,
            user: user.content,
            digest: digest.start..digest.start + digest.content.len(),
            salt: salt.content,
            data,
        })
    }

    /// The encrypted scoped PDU.
    pub(super) fn ciphertext(&self) -> Option<&'a [u8]> {
        (self.encrypted && self.data.tag == OCTET_STRING).then_some(self.data.content)
    }

    /// The scoped PDU that is not encrypted.
    pub(super) fn clear(&self) -> Option<Scoped<'a>> {
        if self.encrypted { None } else { Scoped::of(self.data) }
    }
}

/// A scoped PDU (RFC 3412 section 6.8).
pub(super) struct Scoped<'a> {
    engine: Element<'a>,
    context: Element<'a>,
    pub(super) pdu: Element<'a>,
}

impl<'a> Scoped<'a> {
    /// Reads the bytes of one, and of padding behind it.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        Self::of(Reader::new(bytes).element()?)
    }

    fn of(element: Element<'a>) -> Option<Self> {
        if element.tag != SEQUENCE {
            return None;
        }
        let mut fields = element.elements();
        Some(Self {
            engine: fields.tagged(OCTET_STRING)?,
            context: fields.tagged(OCTET_STRING)?,
            pdu: fields.element()?,
        })
    }

    /// Another PDU in the same context, encoded.
    pub(super) fn with(&self, pdu: &[u8]) -> Vec<u8> {
        ber::write(SEQUENCE, &[self.engine.whole, self.context.whole, pdu])
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

/// Writes a message with this encoded scoped PDU.
pub(super) fn write(header: &Header<'_>, scoped: &[u8], protection: Protection<'_>) -> Option<Vec<u8>> {
    let (flags, keys) = match protection {
        Protection::None => (0, None),
        Protection::Signed(keys) => (AUTH_FLAG, Some(keys)),
        Protection::Encrypted(keys) => (AUTH_FLAG | PRIVACY_FLAG, Some(keys)),
    };
    let (data, salt) = match protection {
        Protection::Encrypted(keys) => {
            let Encrypted { bytes, salt } = keys.encrypt(scoped, header.boots, header.time)?;
            (ber::write(OCTET_STRING, &[&bytes]), salt)
        }
        Protection::None | Protection::Signed(_) => (scoped.to_vec(), Vec::new()),
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
    let global = HeaderData {
        message_id: header.message.into(),
        max_size: LARGEST.into(),
        flags: vec![flags].into(),
        security_model: USM.into(),
    };
    let version = rasn::ber::encode(&rasn::types::Integer::from(V3)).ok()?;
    let global = rasn::ber::encode(&global).ok()?;
    let security = ber::write(OCTET_STRING, &[&rasn::ber::encode(&parameters).ok()?]);
    let mut datagram = ber::write(SEQUENCE, &[&version, &global, &security, &data]);
    if let Some(keys) = keys {
        let place = Frame::read(&datagram)?.digest;
        keys.sign(&mut datagram, place)?;
    }
    Some(datagram)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::{Frame, Header, Protection, Scoped, write};

    /// A scoped PDU of an empty context, with a response in it.
    const SCOPED: &[u8] = &[0x30, 0x12, 4, 1, 1, 4, 0, 0xa2, 0x0b, 2, 1, 5, 2, 1, 0, 2, 1, 0, 0x30, 0];

    fn datagram() -> Vec<u8> {
        let header = Header { message: 77, engine: &[0x80, 0, 0, 0, 1], boots: 3, time: 4, user: b"jo" };
        write(&header, SCOPED, Protection::None).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let datagram = datagram();
        let frame = Frame::read(&datagram).unwrap();
        assert_eq!((frame.message, frame.boots, frame.time), (77, 3, 4));
        assert_eq!((frame.engine, frame.user), ([0x80, 0, 0, 0, 1].as_slice(), b"jo".as_slice()));
        assert!(frame.digest.is_empty() && !frame.authenticated && !frame.encrypted && !frame.reportable);
        assert!(frame.ciphertext().is_none());
        let scoped = frame.clear().unwrap();
        assert_eq!(scoped.with(scoped.pdu.whole), SCOPED);
    }

    #[test]
    fn rasn_reads_what_is_written() {
        let message: rasn_snmp::v3::Message = rasn::ber::decode(&datagram()).unwrap();
        assert_eq!((message.version, message.global_data.message_id), (3.into(), 77.into()));
        let parameters: rasn_snmp::v3::USMSecurityParameters = rasn::ber::decode(&message.security_parameters).unwrap();
        assert_eq!(parameters.user_name.as_ref(), b"jo");
    }

    #[test]
    fn a_scoped_pdu_may_have_padding_and_must_be_whole() {
        let padded = [SCOPED, &[0; 7]].concat();
        assert!(Scoped::read(&padded).is_some());
        for cut in 0..SCOPED.len() {
            assert!(Scoped::read(&SCOPED[..cut]).is_none(), "{cut}");
        }
        let other = [&[0x31], &SCOPED[1..]].concat();
        assert!(Scoped::read(&other).is_none(), "no sequence");
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
