//! Letters whose words are ready when they are written: lists, receipts, notices. They share the clients' outbox.

use std::{net::Ipv6Addr, time::Duration};

use monitor_core::{
    domain::{ClientAddr, OutageId, UnixMs},
    mail::{Attachment, LetterId, Ready, ReadyLetter},
    outage::Recovery,
};
use ring::digest;

use super::super::StoreError;
use crate::sql::{Connection, OptionalExtension as _};

/// Outages count from 1.
pub(super) const NO_OUTAGE: OutageId = OutageId(0);

/// When and about what.
pub(super) struct Occasion {
    pub(super) outage: OutageId,
    /// The `Date:` of the mail, and from when on it is due.
    pub(super) at: UnixMs,
    /// The column wants a word; nobody reads it.
    pub(super) evidence: Recovery,
    pub(super) expires: UnixMs,
}

/// Puts it into the outbox; `None`: one of this key is there or was there.
pub(super) fn write(
    conn: &Connection,
    occasion: &Occasion,
    to: &str,
    ready: &Ready,
) -> Result<Option<LetterId>, StoreError> {
    let letter = conn
        .prepare_cached(
            "INSERT INTO letter (outage, client, mail, recovered, evidence, expires, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?4)
             ON CONFLICT (outage, client) DO NOTHING RETURNING id",
        )?
        .query_row((occasion.outage, nobody(&ready.key), to, occasion.at, occasion.evidence, occasion.expires), |row| {
            row.get(0)
        })
        .optional()?;
    let Some(letter) = letter else { return Ok(None) };
    conn.prepare_cached(
        "INSERT INTO letter_ready (letter, key, subject, text, attachment_name, attachment, unsubscribe)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        letter,
        &ready.key,
        &ready.subject,
        &ready.text,
        ready.attachment.as_ref().map(|attachment| &attachment.name),
        ready.attachment.as_ref().map(|attachment| &attachment.bytes),
        ready.unsubscribe,
    ))?;
    conn.prepare_cached("UPDATE letter_tally SET queued = queued + 1")?.execute(())?;
    Ok(Some(letter))
}

/// Letters about what has no row here; says how many are new.
pub(crate) fn put(conn: &Connection, letters: &[ReadyLetter], lifetime: Duration) -> Result<u64, StoreError> {
    let mut written = 0;
    for ReadyLetter { to, at, ready } in letters {
        let occasion = Occasion { outage: NO_OUTAGE, at: *at, evidence: Recovery::Signal, expires: *at + lifetime };
        written += u64::from(write(conn, &occasion, to, ready)?.is_some());
    }
    Ok(written)
}

/// The words of each of these letters; `None`: it is one to a client.
pub(super) fn read_each(conn: &Connection, letters: &[[LetterId; 1]]) -> Result<Vec<Option<Ready>>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT key, subject, text, attachment_name, attachment, unsubscribe FROM letter_ready WHERE letter = ?1",
        )?
        .query_each(letters, |row| {
            let name: Option<String> = row.get(3)?;
            let bytes: Option<Vec<u8>> = row.get(4)?;
            Ok(Ready {
                key: row.get(0)?,
                subject: row.get(1)?,
                text: row.get(2)?,
                attachment: name.zip(bytes).map(|(name, bytes)| Attachment { name, bytes }),
                unsubscribe: row.get(5)?,
            })
        })?;
    Ok(found.into_iter().map(|mut found| found.pop()).collect())
}

/// In place of a client: an address of the discard prefix 100::/64 (RFC 6666), made of the letter's key.
fn nobody(key: &str) -> ClientAddr {
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    let mut octets = [0; 16];
    octets[0] = 1;
    octets[8..].copy_from_slice(&digest.as_ref()[..8]);
    ClientAddr::new(Ipv6Addr::from(octets).into())
}
