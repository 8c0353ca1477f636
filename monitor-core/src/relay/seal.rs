//! One line of canonical JSON and its HMAC-SHA-256, as an attachment carries them (pure).
//!
//! ```text
//! {"version":1,"gateway":"gw1","key":"2026-11",…}
//! hmac-sha256=<64 hexadecimal digits>
//! ```
//!
//! The digest is checked, in constant time, before anything of the line is read; the line is then read and written again,
//! and must come out the same: there is one way only to write a list, so nothing in it can be read in two ways.

use ring::hmac;
use serde::{Serialize, de::DeserializeOwned};

use super::keys::Keyring;
use crate::domain::UnixMs;

/// The form of lists and receipts that this Ringback writes and reads.
pub(super) const VERSION: u32 = 1;
/// A list of more bytes is refused unread. The gateway writes at most [`super::issue::MOST_CLIENTS`] clients into one.
pub const LARGEST: usize = 8 << 20;
/// How far ahead the other side's clock may be.
const AHEAD: i64 = 5 * 60 * 1000;
const TRAILER: &[u8] = b"\nhmac-sha256=";
const DIGEST_DIGITS: usize = 64;

/// Why something signed is not believed. None of these ever causes a mail to a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing of ours is attached.
    #[error("no {0} is attached")]
    Absent(&'static str),
    /// More bytes than ours ever has.
    #[error("larger than {LARGEST} bytes")]
    TooLarge,
    /// A mail with more bytes than are fetched.
    #[error("the mail `{0}` is larger than mailbox.largest, {1} bytes")]
    Larger(String, u64),
    /// The mailbox does not give it out.
    #[error("the mail `{0}` cannot be fetched: {1}")]
    Unfetched(String, String),
    /// The last line is missing or something else.
    #[error("no HMAC at the end")]
    Unsigned,
    /// Forged, changed on the way, or signed with a key that is not alive.
    #[error("the HMAC is of none of the keys")]
    WrongSignature,
    /// Signed, and yet not written as we write it.
    #[error("signed, but not in canonical form: {0}")]
    Form(String),
    /// A form of another Ringback.
    #[error("version {0}, and only {VERSION} is known here")]
    Version(u32),
    /// The name of the key, or of the gateway, is not that of the key that signed.
    #[error("signed with another key than it says")]
    WrongKey,
    /// Its time is over.
    #[error("expired")]
    Expired,
    /// Written in the future.
    #[error("issued in the future: compare the clocks")]
    Early,
    /// The gateway may not speak of this server.
    #[error("the gateway may not speak of {0}")]
    Server(std::net::IpAddr),
    /// The same list was taken before.
    #[error("taken before: a replay, or the mail came twice")]
    Replayed,
    /// No list of ours has this nonce.
    #[error("a receipt for no list of ours that is open")]
    Unknown,
}

/// What a list and a receipt have in common.
pub(super) trait Sealed: Serialize + DeserializeOwned {
    /// Comes before the line under the HMAC, so that neither can stand in for the other.
    const CONTEXT: &'static [u8];
    fn head(&self) -> Head<'_>;
}

/// Fields that are checked after the digest.
pub(super) struct Head<'a> {
    pub(super) version: u32,
    pub(super) gateway: &'a str,
    pub(super) key: &'a str,
    pub(super) issued: UnixMs,
    pub(super) expires: UnixMs,
}

/// The attachment's bytes, signed with the first key.
pub(super) fn seal<T: Sealed>(value: &T, keyring: &Keyring) -> Vec<u8> {
    // Structs of plain fields: writing them cannot fail.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    if let Some((_, key)) = keyring.keys.first() {
        let digest = hex(digest::<T>(key, &bytes).as_ref());
        bytes.extend_from_slice(TRAILER);
        bytes.extend_from_slice(digest.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// What the bytes say, if one of the keys signed them and their time is now.
pub(super) fn open<T: Sealed>(bytes: &[u8], keyring: &Keyring, now: UnixMs) -> Result<T, Refusal> {
    if bytes.len() > LARGEST {
        return Err(Refusal::TooLarge);
    }
    let (line, given) = split(bytes).ok_or(Refusal::Unsigned)?;
    let signed_with = |key: &hmac::Key| hmac::verify(key, &message::<T>(line), &given).is_ok();
    let (id, _) = keyring.keys.iter().find(|(_, key)| signed_with(key)).ok_or(Refusal::WrongSignature)?;
    let version: Versioned = serde_json::from_slice(line).map_err(|error| Refusal::Form(error.to_string()))?;
    if version.version != VERSION {
        return Err(Refusal::Version(version.version));
    }
    let value: T = serde_json::from_slice(line).map_err(|error| Refusal::Form(error.to_string()))?;
    if serde_json::to_vec(&value).map_err(|error| Refusal::Form(error.to_string()))? != line {
        return Err(Refusal::Form("written in another way".to_owned()));
    }
    let head = value.head();
    debug_assert_eq!(head.version, version.version);
    if head.key != id || head.gateway != keyring.gateway {
        return Err(Refusal::WrongKey);
    }
    if now >= head.expires {
        return Err(Refusal::Expired);
    }
    if head.issued.0.saturating_sub(now.0) > AHEAD {
        return Err(Refusal::Early);
    }
    Ok(value)
}

#[derive(serde::Deserialize)]
struct Versioned {
    version: u32,
}

/// The line and the digest.
fn split(bytes: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    // Mail systems end lines as they like, and base64 keeps what they did not touch: only the very end is lenient.
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'))? + 1;
    let at = end.checked_sub(TRAILER.len() + DIGEST_DIGITS)?;
    let (line, trailer) = bytes[..end].split_at(at);
    let digits = trailer.strip_prefix(TRAILER)?;
    Some((line, unhex(digits)?))
}

fn message<T: Sealed>(line: &[u8]) -> Vec<u8> {
    [T::CONTEXT, b"\n", line].concat()
}

fn digest<T: Sealed>(key: &hmac::Key, line: &[u8]) -> hmac::Tag {
    hmac::sign(key, &message::<T>(line))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let lower = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if lower { digits.chunks(2).map(pair).collect() } else { None }
}
