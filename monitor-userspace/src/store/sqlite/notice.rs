//! Notices: letters that bring their own words, once per event and recipient.

use std::{net::Ipv6Addr, time::Duration};

use ring::digest;
use rusqlite::Connection;

use super::{
    super::{NoticeLetter, StoreError},
    columns::number,
};
use crate::outage::{ClientAddr, OutageId, Recovery};

/// Puts a letter to each recipient into the outbox; says how many are new. Written twice, as after a crash, they are one.
pub(in crate::store) fn put(
    conn: &Connection,
    event: &str,
    letters: &[NoticeLetter],
    lifetime: Duration,
) -> Result<u64, StoreError> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO letter (outage, client, mail, language, recovered, evidence, expires, due, subject, text)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?5, ?8, ?9) ON CONFLICT (outage, client) DO NOTHING",
    )?;
    let mut written = 0;
    for letter in letters {
        written += insert.execute((
            outage(event),
            recipient(&letter.to),
            &letter.to,
            letter.language,
            letter.at,
            // Of a notice, nobody reads it.
            Recovery::Signal,
            letter.at + lifetime,
            &letter.notice.subject,
            &letter.notice.text,
        ))? as u64;
    }
    conn.prepare_cached("UPDATE letter_tally SET queued = queued + ?1")?.execute([number(written)])?;
    Ok(written)
}

/// Outages count from 1: no real one is negative.
fn outage(event: &str) -> OutageId {
    let hash = digest::digest(&digest::SHA256, event.as_bytes());
    let number = hash.as_ref().iter().take(7).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    OutageId(-1 - number)
}

fn recipient(mail: &str) -> ClientAddr {
    let hash = digest::digest(&digest::SHA256, mail.to_lowercase().as_bytes());
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().zip(hash.as_ref()) {
        *place = *byte;
    }
    ClientAddr::new(Ipv6Addr::from(bytes).into())
}
