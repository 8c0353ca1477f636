//! Tokens that only we can make: they bind a form to its client and outage, and a link to the address it unsubscribes.
//!
//! `WHAT.HEX`, where HEX is HMAC-SHA-256 (RFC 2104) over the purpose, WHAT and what else the token is bound to.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use monitor_core::domain::{ClientAddr, OutageId, UnixMs};
use ring::{hmac, rand};

use super::routes::UNSUBSCRIBE;

/// The key's file under the state folder: links in mails must outlive a restart.
const FILE: &str = "page.key";

/// How long a form may lie open.
const FORM_LIVES_MS: i64 = 24 * 3600 * 1000;

/// The secret of this installation.
pub(crate) struct Key(hmac::Key);

impl Key {
    /// Reads the key, or makes one.
    pub(crate) fn load(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) if bytes.len() == 32 => bytes,
            Ok(_) => return Err(io::Error::other(format!("{} is not 32 bytes: delete it", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes: [u8; 32] = random()?;
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                bytes.to_vec()
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// For a form that this client is shown about this outage.
    pub(super) fn form(&self, client: ClientAddr, outage: OutageId, now: UnixMs) -> String {
        let what = format!("{outage}.{}", now.0);
        let tag = hmac::sign(&self.0, format!("form|{what}|{client}").as_bytes());
        format!("{what}.{}", hex(tag.as_ref()))
    }

    /// The outage of a form's token, if this client was given it within the last day.
    pub(super) fn outage_of(&self, token: &str, client: ClientAddr, now: UnixMs) -> Option<OutageId> {
        let (what, tag) = token.rsplit_once('.')?;
        hmac::verify(&self.0, format!("form|{what}|{client}").as_bytes(), &unhex(tag)?).ok()?;
        let (outage, at) = what.split_once('.')?;
        let age = now.0 - at.parse::<i64>().ok()?;
        (0..FORM_LIVES_MS).contains(&age).then(|| outage.parse().ok())?
    }

    /// For the link that ends mails to this address.
    fn unsubscribe(&self, mail: &str) -> String {
        hex(hmac::sign(&self.0, to_unsubscribe(mail).as_bytes()).as_ref())
    }

    /// Whether the link is one of ours.
    pub(super) fn may_unsubscribe(&self, tag: &str, mail: &str) -> bool {
        unhex(tag).is_some_and(|tag| hmac::verify(&self.0, to_unsubscribe(mail).as_bytes(), &tag).is_ok())
    }
}

fn to_unsubscribe(mail: &str) -> String {
    format!("unsubscribe|{}", mail.to_lowercase())
}

/// The links at the end of mails.
pub(crate) struct Links {
    key: Key,
    own_url: String,
}

impl Links {
    /// Those of the gateway at this address (`standin.own_url`).
    pub(crate) fn new(own_url: &str, state_dir: &Path) -> io::Result<Self> {
        Ok(Self { key: Key::load(state_dir)?, own_url: own_url.to_owned() })
    }

    /// Where mails to this address are ended.
    pub(crate) fn of(&self, mail: &str) -> String {
        let query = [("mail", mail), ("tag", &self.key.unsubscribe(mail))];
        // Two short texts can always be written as a query.
        let query = serde_urlencoded::to_string(query).unwrap_or_default();
        format!("{}{UNSUBSCRIBE}?{query}", self.own_url)
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("own_url", &self.own_url).finish_non_exhaustive()
    }
}

/// Random bytes of the operating system.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]>
where
    [u8; N]: rand::RandomlyConstructable,
{
    let bytes = rand::generate(&rand::SystemRandom::new()).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(bytes.expose())
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn key() -> Key {
        Key(hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]))
    }

    fn client(text: &str) -> ClientAddr {
        ClientAddr::new(text.parse().unwrap())
    }

    #[test]
    fn a_form_is_bound_to_its_client_its_outage_and_a_day() {
        let (key, now) = (key(), UnixMs(1_000_000_000_000));
        let token = key.form(client("10.0.0.1"), OutageId(7), now);
        assert_eq!(key.outage_of(&token, client("10.0.0.1"), now), Some(OutageId(7)));
        assert_eq!(key.outage_of(&token, client("10.0.0.2"), now), None);
        assert_eq!(key.outage_of(&token.replacen('7', "8", 1), client("10.0.0.1"), now), None);
        assert_eq!(key.outage_of(&token, client("10.0.0.1"), UnixMs(now.0 + FORM_LIVES_MS)), None);
        assert_eq!(key.outage_of("7.1.", client("10.0.0.1"), now), None);
    }

    #[test]
    fn a_link_is_bound_to_its_address() {
        let key = key();
        let tag = key.unsubscribe("A@example.test");
        assert!(key.may_unsubscribe(&tag, "a@example.test"));
        assert!(!key.may_unsubscribe(&tag, "b@example.test"));
        assert!(!key.may_unsubscribe("", "a@example.test"));
    }

    #[test]
    fn a_link_at_the_end_of_a_mail() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), [7; 32]).unwrap();
        let links = Links::new("https://gw.example.net", dir.path()).unwrap();
        insta::assert_snapshot!(links.of("client1@example.net"), @"https://gw.example.net/.ringback/unsubscribe?mail=client1%40example.net&tag=e53577c32a7ce07aaed0a97719d7e0efa7ee376a1833777e1e090673774f5a94");
    }

    #[test]
    fn the_key_is_made_once_and_is_nobody_elses_to_read() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let tag = Key::load(dir.path()).unwrap().unsubscribe("a@b.test");
        assert_eq!(Key::load(dir.path()).unwrap().unsubscribe("a@b.test"), tag);
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().mode() & 0o777, 0o600);
    }
}
