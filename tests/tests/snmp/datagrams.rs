//! Datagrams as devices send them: BER of any form, and the sockets that they leave from.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};
use lab::Host;

use crate::support::LIMIT;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const INFORM: u8 = 0xa6;
pub(crate) const TRAP: u8 = 0xa7;

/// sysUpTime.0, snmpTrapOID.0, and the traps' own OIDs without their last arc.
pub(crate) const UPTIME: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 3, 0];
pub(crate) const TRAP_OID: &[u8] = &[0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0];
pub(crate) const TRAPS: &[u8] = &[0x2b, 6, 1, 6, 3, 1, 1, 5];

/// An element whose length is said in this many bytes behind the first; 0: the short form, if it fits.
pub(crate) fn long_element(tag: u8, parts: &[&[u8]], bytes: usize) -> Vec<u8> {
    let content = parts.concat();
    let needed = (1..8).find(|bytes| content.len() >> (8 * bytes) == 0).unwrap_or(8);
    let length = match bytes {
        0 if content.len() < 0x80 => vec![u8::try_from(content.len()).unwrap_or_default()],
        _ => {
            let bytes = bytes.max(needed);
            let all = content.len().to_be_bytes();
            [&[0x80 | u8::try_from(bytes).unwrap_or_default()], &all[all.len() - bytes..]].concat()
        }
    };
    [&[tag], length.as_slice(), &content].concat()
}

pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    long_element(tag, parts, 0)
}

/// The elements that these bytes are, as far as they can be told.
pub(crate) fn elements(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while let Some((header, length)) = header(rest)
        && let Some((element, behind)) = rest.split_at_checked(header.saturating_add(length))
    {
        found.push(element);
        rest = behind;
    }
    found
}

/// What is in an element.
pub(crate) fn content(element: &[u8]) -> &[u8] {
    header(element).and_then(|(header, _)| element.get(header..)).unwrap_or_default()
}

/// Bytes of tag and length, and the length.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.get(1)?;
    if first < 0x80 {
        return Some((2, first.into()));
    }
    let count = usize::from(first & 0x7f);
    let length = bytes.get(2..2 + count)?.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    Some((2 + count, length))
}

pub(crate) fn varbind(name: &[u8], tag: u8, content: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[name]), &element(tag, &[content])])
}

/// A v2c message of the community `public`, with this request-id.
pub(crate) fn v2c(pdu: u8, request: u8, varbinds: &[Vec<u8>]) -> Vec<u8> {
    let fields = [&[2, 1, request, 2, 1, 0, 2, 1, 0][..], &element(SEQUENCE, &[&varbinds.concat()])];
    element(SEQUENCE, &[&[2, 1, 1], &element(OCTET_STRING, &[b"public"]), &element(pdu, &fields)])
}

/// What a trap of this last arc must have: 1 is coldStart, 3 linkDown.
pub(crate) fn notice(last: u8) -> Vec<Vec<u8>> {
    vec![varbind(UPTIME, 0x43, &[100]), varbind(TRAP_OID, OBJECT_IDENTIFIER, &[TRAPS, &[last]].concat())]
}

pub(crate) fn bytes(hexadecimal: &str) -> Result<Vec<u8>> {
    let byte = |pair: &[u8; 2]| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?);
    hexadecimal.trim().as_bytes().as_chunks::<2>().0.iter().map(byte).collect()
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A socket of its own on a host: what it receives answers what it has sent.
pub(crate) struct Sender(UdpSocket);

impl Sender {
    pub(crate) fn new(host: &Host, to: SocketAddr) -> Result<Self> {
        let socket = host.enter(|| UdpSocket::bind("0.0.0.0:0"))??;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.connect(to)?;
        Ok(Self(socket))
    }

    pub(crate) fn send(&self, datagram: &[u8]) -> Result<()> {
        self.0.send(datagram)?;
        Ok(())
    }

    /// The next answer, which must come.
    pub(crate) fn answer(&self) -> Result<Vec<u8>> {
        let mut answer = vec![0; 65_535];
        let length = self.0.recv(&mut answer).context("no answer came")?;
        answer.truncate(length);
        Ok(answer)
    }

    /// The next answer, if it is there already.
    pub(crate) fn answer_now(&self) -> Result<Option<Vec<u8>>> {
        self.0.set_nonblocking(true)?;
        let answer = self.answer().ok();
        self.0.set_nonblocking(false)?;
        Ok(answer)
    }
}
