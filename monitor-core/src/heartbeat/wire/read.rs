//! A datagram becomes a message, if it is one.

use ring::hmac;

use super::{Beat, GROUP, MAGIC, MAX_NAME, Message, Mode, Rank, SIGNAL, Secret, Signal, Status, TAG, VERSION};

/// Why a datagram is not a heartbeat for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Other bytes, or none of our versions.
    #[error("no heartbeat of this version")]
    Foreign,
    /// The HMAC is wrong.
    #[error("not authentic: another secret?")]
    Forged,
    /// Authentic and yet not readable.
    #[error("malformed")]
    Malformed,
}

/// The message of a datagram.
pub fn open(datagram: &[u8], secret: &Secret) -> Result<Message, WireError> {
    if datagram.len() < MAGIC.len() + 1 + TAG || datagram[..4] != MAGIC || datagram[4] != VERSION {
        return Err(WireError::Foreign);
    }
    let (bytes, tag) = datagram.split_at(datagram.len() - TAG);
    hmac::verify(&secret.0, bytes, tag).map_err(|_| WireError::Forged)?;
    read(&bytes[5..]).ok_or(WireError::Malformed)
}

fn read(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader(bytes);
    let mut message = Message {
        from: reader.name()?,
        to: reader.name()?,
        boot: reader.number()?,
        counter: reader.number()?,
        echo: reader.number()?,
        hears_you: reader.byte()? != 0,
        groups: Vec::new(),
        status: None,
    };
    while !reader.0.is_empty() {
        let kind = reader.byte()?;
        let length = u16::from_be_bytes(reader.take(2)?.try_into().ok()?);
        let mut section = Reader(reader.take(usize::from(length))?);
        match kind {
            GROUP => {
                let name = section.name()?;
                let mode = match section.byte()? {
                    0 => Mode::Undecided,
                    1 => Mode::Active,
                    2 => Mode::Standby,
                    _ => return None,
                };
                let candidate = section.byte()? & 1 != 0;
                let priority = section.number()?;
                let hears_active = match section.number() {
                    Some(priority) => Some(Rank { priority, name: section.name()? }),
                    None => None,
                };
                let beat = Beat { mode, candidate, priority, hears_active };
                message.groups.push((name, beat));
            }
            SIGNAL => {
                let (kind, holds_you_up) = (section.byte()?, section.byte()? != 0);
                let value = section.number()?;
                let signal = match kind {
                    1 => Signal::Start,
                    2 => Signal::Running(value),
                    3 => Signal::End,
                    _ => return None,
                };
                message.status = Some(Status { signal, holds_you_up });
            }
            _ => {}
        }
    }
    Some(message)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn name(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        if length > MAX_NAME {
            return None;
        }
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }
}
