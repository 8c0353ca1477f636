//! BER as far as SNMP needs it (RFC 3417 section 8; pure): bytes to elements, and back.
//!
//! Agents write what the standard does not allow: unsigned integers without their leading zero, integers of too many bytes,
//! lengths with zeros in front, values of types that nobody else knows. So an element is its tag and its length, and its
//! content is read only by the code that needs it. Of lengths nothing is tolerated: an element ends within what it is in.
//! Nothing recurses, and nothing is copied.

/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// SEQUENCE and SEQUENCE OF.
pub(super) const SEQUENCE: u8 = 0x30;
/// IpAddress (RFC 2578 section 7.1.5).
pub(super) const IP_ADDRESS: u8 = 0x40;
/// Opaque (RFC 2578 section 7.1.9).
pub(super) const OPAQUE: u8 = 0x44;
/// NsapAddress (RFC 1442 section 7.1.8).
pub(super) const NSAP_ADDRESS: u8 = 0x45;

/// zeroDotZero (RFC 2578 section 2): what an OID without content says.
pub(super) const ZERO_DOT_ZERO: [u32; 2] = [0, 0];

/// Bytes of a length, and of an integer, that are read: no more than net-snmp reads.
const LONGEST: usize = 8;

/// Arcs of an OID (RFC 2578 section 3.5).
const MOST_ARCS: usize = 128;

/// A tag whose number follows in further bytes. SNMP has none.
const LONG_TAG: u8 = 0x1f;

/// One element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    /// Its first byte.
    pub(super) tag: u8,
    /// All of it, as it was sent.
    pub(super) whole: &'a [u8],
    /// What its length counts.
    pub(super) content: &'a [u8],
    /// Where the content begins in the bytes of the outermost reader.
    pub(super) start: usize,
}

impl<'a> Element<'a> {
    /// The elements in it.
    pub(super) fn elements(self) -> Reader<'a> {
        Reader { rest: self.content, at: self.start }
    }

    /// The lowest 32 bits of an INTEGER of up to 8 bytes, as net-snmp reads it.
    pub(super) fn integer(self) -> Option<i32> {
        let lowest = self.signed()? & i64::from(u32::MAX);
        u32::try_from(lowest).ok().map(u32::cast_signed)
    }

    /// An `INTEGER (0..2147483647)`, with any number of zeros in front.
    pub(super) fn unsigned(self) -> Option<u32> {
        i32::try_from(self.signed()?).ok()?.try_into().ok()
    }

    fn signed(self) -> Option<i64> {
        let fits = self.tag == INTEGER && (1..=LONGEST).contains(&self.content.len());
        let negative = self.content.first()? & 0x80 != 0;
        let start = if negative { -1 } else { 0 };
        fits.then(|| self.content.iter().fold(start, |value, byte| value << 8 | i64::from(*byte)))
    }

    /// An OBJECT IDENTIFIER: its arcs, which are [`ZERO_DOT_ZERO`] if it has no content.
    pub(super) fn oid(self) -> Option<Vec<u32>> {
        if self.tag != OBJECT_IDENTIFIER || self.content.last().is_some_and(|last| last & 0x80 != 0) {
            return None;
        }
        let mut arcs = Vec::with_capacity(self.content.len().min(MOST_ARCS) + 1);
        let mut arc = 0_u32;
        for byte in self.content {
            if arc.leading_zeros() < 7 || arcs.len() >= MOST_ARCS {
                return None;
            }
            arc = arc << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                continue;
            }
            if arcs.is_empty() {
                // The first two arcs share a number (X.690 section 8.19.4).
                let first = (arc / 40).min(2);
                arcs.extend([first, arc - first * 40]);
            } else {
                arcs.push(arc);
            }
            arc = 0;
        }
        if arcs.is_empty() { Some(ZERO_DOT_ZERO.to_vec()) } else { Some(arcs) }
    }
}

/// Elements, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Of these bytes, which are the outermost.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element; `None` if there is none, or if it does not end in here.
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        let (tag, behind) = self.rest.split_first()?;
        let (length, header) = length(behind)?;
        let size = length.checked_add(header + 1)?;
        let (whole, rest) = self.rest.split_at_checked(size)?;
        let element = Element { tag: *tag, whole, content: whole.get(header + 1..)?, start: self.at + header + 1 };
        self.rest = rest;
        self.at += size;
        Some(element)
    }

    /// The next element, which must have this tag.
    pub(super) fn tagged(&mut self, tag: u8) -> Option<Element<'a>> {
        self.element().filter(|element| element.tag == tag)
    }

    /// What is behind this element, which is in here, at any depth.
    pub(super) fn behind(self, element: Element<'_>) -> Option<Self> {
        let at = element.start + element.content.len();
        Some(Self { rest: self.rest.get(at.checked_sub(self.at)?..)?, at })
    }

    /// The next element, or `Some(None)` at the end.
    pub(super) fn element_or_end(&mut self) -> Option<Option<Element<'a>>> {
        if self.is_empty() { Some(None) } else { self.element().map(Some) }
    }

    /// Whether the next element's tag has several bytes: its length is somewhere behind them.
    pub(super) fn has_long_tag(&self) -> bool {
        self.rest.first().is_some_and(|tag| tag & LONG_TAG == LONG_TAG)
    }
}

/// A length, and how many bytes say it. There is no indefinite form in SNMP (RFC 3417 section 8).
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let (first, behind) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), 1));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=LONGEST).contains(&count) {
        return None;
    }
    let length = behind.get(..count)?.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    Some((length.try_into().ok()?, count + 1))
}

/// An element of these parts, one after the other.
pub(super) fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut element = Vec::with_capacity(length + LONGEST + 2);
    element.push(tag);
    match u8::try_from(length) {
        Ok(short @ ..=0x7f) => element.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let count = u8::try_from(bytes.len() - zeros).unwrap_or_default();
            element.push(0x80 | count);
            element.extend(bytes.iter().skip(zeros));
        }
    }
    parts.iter().for_each(|part| element.extend_from_slice(part));
    element
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::{INTEGER, OBJECT_IDENTIFIER, Reader, write};

    fn integer(content: &[u8]) -> Option<i32> {
        Reader::new(&write(INTEGER, &[content])).element()?.integer()
    }

    fn unsigned(content: &[u8]) -> Option<u32> {
        Reader::new(&write(INTEGER, &[content])).element()?.unsigned()
    }

    fn oid(content: &[u8]) -> Option<Vec<u32>> {
        Reader::new(&write(OBJECT_IDENTIFIER, &[content])).element()?.oid()
    }

    #[test]
    fn an_element_ends_within_its_bytes_whatever_form_its_length_has() {
        let content = |bytes: &[u8]| Reader::new(bytes).element().map(|element| element.content.to_vec());
        for whole in
            [&[4, 1, 9][..], &[4, 0x81, 1, 9], &[4, 0x84, 0, 0, 0, 1, 9], &[4, 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 9]]
        {
            assert_eq!(content(whole), Some(vec![9]), "{whole:x?}");
        }
        for cut in [&[][..], &[4], &[4, 2, 9], &[4, 0x80, 9, 0, 0], &[4, 0x82, 1], &[4, 0x83, 0xff, 0xff, 0xff]] {
            assert_eq!(content(cut), None, "{cut:x?}");
        }
        for wide in
            [&[4, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9][..], &[4, 0x88, 255, 255, 255, 255, 255, 255, 255, 255, 9]]
        {
            assert_eq!(content(wide), None, "{wide:x?}");
        }
    }

    #[test]
    fn an_integer_is_its_lowest_32_bits() {
        assert_eq!(integer(&[5]), Some(5));
        assert_eq!(integer(&[0xff]), Some(-1));
        assert_eq!(integer(&[0, 0, 0, 0, 0, 0, 0, 1]), Some(1));
        assert_eq!(integer(&[1, 0, 0, 0, 2]), Some(2));
        assert_eq!(integer(&[0, 0x8a, 0x11, 0x22, 0x33]), Some(0x8a11_2233_u32.cast_signed()));
        assert_eq!(integer(&[]), None);
        assert_eq!(integer(&[0; 9]), None);
        assert_eq!(unsigned(&[0, 0, 0x7f, 0xff, 0xff, 0xff]), Some(0x7fff_ffff));
        for none in [&[0xff][..], &[0, 0x80, 0, 0, 0], &[1, 0, 0, 0, 0], &[]] {
            assert_eq!(unsigned(none), None, "{none:x?}");
        }
    }

    #[test]
    fn an_oid_is_read_with_zeros_in_front_and_not_when_an_arc_is_too_large_or_cut() {
        assert_eq!(oid(&[0x2b, 6, 0x80, 1]), Some(vec![1, 3, 6, 1]));
        assert_eq!(oid(&[0x88, 0x37]), Some(vec![2, 999]));
        assert_eq!(oid(&[]), Some(vec![0, 0]));
        assert_eq!(oid(&[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f]), Some(vec![1, 3, u32::MAX]));
        assert_eq!(oid(&[0x2b, 0x90, 0x80, 0x80, 0x80, 0x01]), None);
        assert_eq!(oid(&[0x2b, 0x86]), None);
        assert_eq!(oid(&[1; 127]).map(|arcs| arcs.len()), Some(128));
        assert_eq!(oid(&[1; 128]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in any::<u8>(), length in prop_oneof![0_usize..300, 65_000_usize..70_000]) {
            let content = vec![7; length];
            let (first, second) = content.split_at(length / 3);
            let bytes = write(tag, &[first, second]);
            let mut reader = Reader::new(&bytes);
            let element = reader.element().unwrap();
            prop_assert!(reader.is_empty());
            prop_assert_eq!((element.tag, element.content), (tag, content.as_slice()));
            prop_assert_eq!(bytes.get(element.start..), Some(content.as_slice()));
        }
    }
}
