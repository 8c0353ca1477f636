//! Letters that bring words of their own: lists, receipts, notices. They share the clients' outbox.

use std::time::Duration;

use monitor_core::{
    domain::UnixMs,
    mail::{Attachment, LetterId, Ready, ReadyLetter},
};

use super::super::StoreError;
use crate::sql::{Connection, OptionalExtension as _};

/// Puts it into the outbox; `None`: one with this key is there or was there.
pub(super) fn write(conn: &Connection, letter: &ReadyLetter, expires: UnixMs) -> Result<Option<LetterId>, StoreError> {
    let ReadyLetter { key, to, at, ready } = letter;
    let letter: Option<LetterId> = conn
        .prepare_cached(
            "INSERT INTO letter (key, recipient, at, expires, due) VALUES (?1, ?2, ?3, ?4, ?3)
             ON CONFLICT (key) DO NOTHING RETURNING id",
        )?
        .query_row((key, to, *at, expires), |row| row.get(0))
        .optional()?;
    let Some(letter) = letter else { return Ok(None) };
    conn.prepare_cached("INSERT INTO letter_words (letter, subject, text, unsubscribe) VALUES (?1, ?2, ?3, ?4)")?
        .execute((letter, &ready.subject, &ready.text, ready.unsubscribe))?;
    if let Some(Attachment { name, bytes }) = &ready.attachment {
        conn.prepare_cached("INSERT INTO letter_attachment (letter, name, bytes) VALUES (?1, ?2, ?3)")?
            .execute((letter, name, bytes))?;
    }
    conn.prepare_cached("UPDATE letter_tally SET queued = queued + 1")?.execute(())?;
    Ok(Some(letter))
}

/// Several of them; says how many are new.
pub(crate) fn put(conn: &Connection, letters: &[ReadyLetter], lifetime: Duration) -> Result<u64, StoreError> {
    let mut written = 0;
    for letter in letters {
        written += u64::from(write(conn, letter, letter.at + lifetime)?.is_some());
    }
    Ok(written)
}

/// The words of each of these letters; `None`: it tells of a recovery.
pub(super) fn read_each(conn: &Connection, letters: &[[LetterId; 1]]) -> Result<Vec<Option<Ready>>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT w.subject, w.text, w.unsubscribe, a.name, a.bytes FROM letter_words w
             LEFT JOIN letter_attachment a ON a.letter = w.letter WHERE w.letter = ?1",
        )?
        .query_each(letters, |row| {
            let name: Option<String> = row.get(3)?;
            let bytes: Option<Vec<u8>> = row.get(4)?;
            Ok(Ready {
                subject: row.get(0)?,
                text: row.get(1)?,
                unsubscribe: row.get(2)?,
                attachment: name.zip(bytes).map(|(name, bytes)| Attachment { name, bytes }),
            })
        })?;
    Ok(found.into_iter().map(|mut found| found.pop()).collect())
}
