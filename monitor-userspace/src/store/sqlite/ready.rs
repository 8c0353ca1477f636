//! Letters whose words are ready when they are written: lists, receipts, notices. They share the clients' outbox.

use std::net::Ipv6Addr;

use ring::digest;
use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::super::{Attachment, LetterId, Ready, StoreError};
use crate::outage::{ClientAddr, OutageId, Recovery, UnixMs};

/// When and about what.
pub(super) struct Occasion {
    pub(super) outage: OutageId,
    /// The `Date:` of the mail, and from when on it is due.
    pub(super) at: UnixMs,
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
             VALUES (:outage, :client, :mail, :at, :evidence, :expires, :at)
             ON CONFLICT (outage, client) DO NOTHING RETURNING id",
        )?
        .query_row(
            named_params! {
                ":outage": occasion.outage,
                ":client": nobody(&ready.key),
                ":mail": to,
                ":at": occasion.at,
                ":evidence": occasion.evidence,
                ":expires": occasion.expires,
            },
            |row| row.get(0),
        )
        .optional()?;
    let Some(letter) = letter else { return Ok(None) };
    conn.prepare_cached(
        "INSERT INTO letter_ready (letter, key, subject, text, attachment_name, attachment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        letter,
        &ready.key,
        &ready.subject,
        &ready.text,
        ready.attachment.as_ref().map(|attachment| &attachment.name),
        ready.attachment.as_ref().map(|attachment| &attachment.bytes),
    ))?;
    conn.prepare_cached("UPDATE letter_tally SET queued = queued + 1")?.execute(())?;
    Ok(Some(letter))
}

/// The words of this letter; `None`: it is one to a client.
pub(super) fn read(conn: &Connection, letter: LetterId) -> Result<Option<Ready>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT key, subject, text, attachment_name, attachment FROM letter_ready WHERE letter = ?1")?
        .query_row([letter], |row| {
            let name: Option<String> = row.get(3)?;
            let bytes: Option<Vec<u8>> = row.get(4)?;
            Ok(Ready {
                key: row.get(0)?,
                subject: row.get(1)?,
                text: row.get(2)?,
                attachment: name.zip(bytes).map(|(name, bytes)| Attachment { name, bytes }),
            })
        })
        .optional()?)
}

/// In place of a client: an address of the discard prefix 100::/64 (RFC 6666), made of the letter's key.
fn nobody(key: &str) -> ClientAddr {
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    let mut octets = [0; 16];
    octets[0] = 1;
    octets[8..].copy_from_slice(&digest.as_ref()[..8]);
    ClientAddr::new(Ipv6Addr::from(octets).into())
}
