//! A message becomes a datagram.

use ring::hmac;

use super::{GROUP, MAGIC, MAX_NAME, Message, Mode, SIGNAL, Secret, Signal, VERSION};

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

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    // Longer names are refused when the configuration is read.
    let name = &name.as_bytes()[..name.len().min(MAX_NAME)];
    bytes.push(name.len() as u8);
    bytes.extend(name);
}

pub(super) fn put_section(bytes: &mut Vec<u8>, kind: u8, section: &[u8]) {
    bytes.push(kind);
    bytes.extend((section.len() as u16).to_be_bytes());
    bytes.extend(section);
}
