//! The heartbeat's bytes: a [`Message`] in, an authenticated datagram out, and back. Pure; documented field by field in
//! `docs/peer-protocol.md`.
//!
//! Nothing of a datagram is looked at before its HMAC is found right, and a reader skips sections that it does not know.

use ring::hmac;

/// First bytes of every heartbeat.
const MAGIC: [u8; 4] = *b"RBHB";

/// Version of the layout; another one is refused.
const VERSION: u8 = 1;

/// Bytes of HMAC-SHA-256.
const TAG: usize = 32;

/// Longest datagram: passes every link unfragmented.
pub const MAX_DATAGRAM: usize = 1200;

/// Longest name of a host or a group.
pub const MAX_NAME: usize = 32;

/// Sections.
const GROUP: u8 = 1;
const SIGNAL: u8 = 2;

/// The shared secret of everyone who exchanges heartbeats.
#[derive(Clone, Debug)]
pub struct Secret(hmac::Key);

impl Secret {
    /// The key that is this secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

/// Mode of a host for one group of shared addresses (H-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Just started, or nobody is active yet.
    Undecided,
    /// It answers for the addresses.
    Active,
    /// It has the addresses and is not seen to have them.
    Standby,
}

impl Mode {
    /// The word of logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Active => "active",
            Self::Standby => "standby",
        }
    }
}

/// What decides between two hosts that could be active: the smaller is the better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Configured, or the MAC address as a number.
    pub priority: u64,
    /// Decides between equal priorities.
    pub name: String,
}

/// What a host says of itself about one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its mode.
    pub mode: Mode,
    /// Its priority; its name is in the message.
    pub priority: u64,
    /// Whether it would take over: false while it hands over, or cannot serve.
    pub candidate: bool,
    /// The best active host that it hears itself: who does not hear that one must not take its place.
    pub hears_active: Option<Rank>,
}

/// What a monitor signals about its own system (O-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The application starts.
    Start,
    /// It runs; another value each time.
    Running(u64),
    /// It has ended in order.
    End,
}

/// A signal, and what its sender thinks of the addressee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The sender's own system.
    pub signal: Signal,
    /// Whether the sender holds the addressee for up; if not, it wants a start signal.
    pub holds_you_up: bool,
}

/// One heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Name of the sender.
    pub from: String,
    /// Name of the addressee.
    pub to: String,
    /// Random, made at each start of the sender.
    pub boot: u64,
    /// Higher in each message of this boot.
    pub counter: u64,
    /// The addressee's boot, as the sender knows it; 0: not at all.
    pub echo: u64,
    /// Whether the sender has heard the addressee within the take-over time.
    pub hears_you: bool,
    /// By name of the group.
    pub groups: Vec<(String, Beat)>,
    /// Of the sender's system; absent while its application stalls, or where nobody watches.
    pub status: Option<Status>,
}

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

/// The datagram of a message.
#[must_use]
pub fn seal(message: &Message, secret: &Secret) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend(MAGIC);
    bytes.push(VERSION);
    put_name(&mut bytes, &message.from);
    put_name(&mut bytes, &message.to);
    for number in [message.boot, message.counter, message.echo] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.push(u8::from(message.hears_you));
    for (name, beat) in &message.groups {
        let mut section = Vec::new();
        put_name(&mut section, name);
        section.push(match beat.mode {
            Mode::Undecided => 0,
            Mode::Active => 1,
            Mode::Standby => 2,
        });
        section.push(u8::from(beat.candidate));
        section.extend(beat.priority.to_be_bytes());
        if let Some(active) = &beat.hears_active {
            section.extend(active.priority.to_be_bytes());
            put_name(&mut section, &active.name);
        }
        put_section(&mut bytes, GROUP, &section);
    }
    if let Some(status) = &message.status {
        let (kind, value) = match status.signal {
            Signal::Start => (1, 0),
            Signal::Running(value) => (2, value),
            Signal::End => (3, 0),
        };
        let mut section = vec![kind, u8::from(status.holds_you_up)];
        section.extend(value.to_be_bytes());
        put_section(&mut bytes, SIGNAL, &section);
    }
    let tag = hmac::sign(&secret.0, &bytes);
    bytes.extend(tag.as_ref());
    bytes
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

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    // Longer names are refused when the configuration is read.
    let name = &name.as_bytes()[..name.len().min(MAX_NAME)];
    bytes.push(name.len() as u8);
    bytes.extend(name);
}

fn put_section(bytes: &mut Vec<u8>, kind: u8, section: &[u8]) {
    bytes.push(kind);
    bytes.extend((section.len() as u16).to_be_bytes());
    bytes.extend(section);
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message() -> impl Strategy<Value = Message> {
        let mode = prop_oneof![Just(Mode::Undecided), Just(Mode::Active), Just(Mode::Standby)];
        let rank = (any::<u64>(), "[a-z0-9-]{1,32}").prop_map(|(priority, name)| Rank { priority, name });
        let beat = (mode, any::<u64>(), any::<bool>(), prop::option::of(rank))
            .prop_map(|(mode, priority, candidate, hears_active)| Beat { mode, priority, candidate, hears_active });
        let signal = prop_oneof![Just(Signal::Start), any::<u64>().prop_map(Signal::Running), Just(Signal::End)];
        let status = (signal, any::<bool>()).prop_map(|(signal, holds_you_up)| Status { signal, holds_you_up });
        let name = "[a-z0-9-]{1,32}";
        (
            name,
            name,
            any::<[u64; 3]>(),
            any::<bool>(),
            prop::collection::vec((name, beat), 0..8),
            prop::option::of(status),
        )
            .prop_map(|(from, to, [boot, counter, echo], hears_you, groups, status)| Message {
                from,
                to,
                boot,
                counter,
                echo,
                hears_you,
                groups,
                status,
            })
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(message in message()) {
            let secret = Secret::new(b"one");
            prop_assert_eq!(open(&seal(&message, &secret), &secret), Ok(message));
        }

        #[test]
        fn one_changed_bit_or_another_secret_is_noticed(message in message(), place: prop::sample::Index, bit in 0_u8..8) {
            let secret = Secret::new(b"one");
            let mut bytes = seal(&message, &secret);
            prop_assert_eq!(open(&bytes, &Secret::new(b"two")), Err(WireError::Forged));
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(open(&bytes, &secret).is_err());
        }

        #[test]
        fn authentic_nonsense_is_no_panic(body: Vec<u8>) {
            let secret = Secret::new(b"one");
            let mut bytes = [&MAGIC[..], &[VERSION], &body].concat();
            let tag = hmac::sign(&secret.0, &bytes);
            bytes.extend(tag.as_ref());
            let _ = open(&bytes, &secret);
        }
    }

    #[test]
    fn a_section_that_is_not_known_is_skipped() {
        let secret = Secret::new(b"one");
        let plain = Message {
            from: "a".to_owned(),
            to: "b".to_owned(),
            boot: 1,
            counter: 2,
            echo: 3,
            hears_you: true,
            groups: Vec::new(),
            status: None,
        };
        let mut bytes = seal(&plain, &secret);
        bytes.truncate(bytes.len() - TAG);
        put_section(&mut bytes, 99, b"of a later version");
        let tag = hmac::sign(&secret.0, &bytes);
        bytes.extend(tag.as_ref());
        assert_eq!(open(&bytes, &secret).unwrap(), plain);
    }
}
