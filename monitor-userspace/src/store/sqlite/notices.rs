//! Notices to operators, written with the opening or the end that they tell of (B-1).

use rusqlite::{Connection, OptionalExtension as _};

use super::{
    super::{StoreError, Telling},
    columns::{count, service},
    ready::{self, Occasion},
};
use crate::{
    notice::{Event, Subject, notice},
    outage::{OutageId, Recovery, UnixMs},
};

/// Tells of an outage that is open, once. Says how many notices were written.
pub(super) fn opened(conn: &Connection, outage: OutageId, telling: &Telling) -> Result<u64, StoreError> {
    if telling.notices.is_empty() {
        return Ok(0);
    }
    let open = "SELECT * FROM outage WHERE id = ?1 AND ended IS NULL AND phase <> 'suspected'";
    let Some(subject) = subject(conn, open, outage)? else { return Ok(0) };
    let new = conn
        .prepare_cached("INSERT INTO notice_opened (outage) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([outage])?;
    if new == 0 { Ok(0) } else { write(conn, &subject, Event::Opened, subject.since, telling) }
}

/// Tells those who were told of its opening that it is over.
pub(super) fn ended(conn: &Connection, outage: OutageId, event: Event, telling: &Telling) -> Result<u64, StoreError> {
    let told = conn.prepare_cached("SELECT 1 FROM notice_opened WHERE outage = ?1")?.exists([outage])?;
    if !told {
        return Ok(0);
    }
    let at = match event {
        Event::Ended { at, .. } | Event::Discarded { at } => at,
        Event::Opened => return Ok(0),
    };
    match subject(conn, "SELECT * FROM outage WHERE id = ?1", outage)? {
        Some(subject) => write(conn, &subject, event, at, telling),
        None => Ok(0),
    }
}

fn subject(conn: &Connection, sql: &str, outage: OutageId) -> Result<Option<Subject>, StoreError> {
    Ok(conn
        .prepare_cached(sql)?
        .query_row([outage], |row| {
            Ok(Subject {
                outage,
                service: service(row)?,
                name: row.get("server_name")?,
                evidence: row.get("evidence")?,
                since: row.get("since")?,
                clients: count(row, "clients")?,
            })
        })
        .optional()?)
}

fn write(conn: &Connection, subject: &Subject, event: Event, at: UnixMs, telling: &Telling) -> Result<u64, StoreError> {
    let mut written = 0;
    for to in telling.notices.recipients(subject.service.addr(), subject.evidence) {
        // The column wants a word of recovery; nobody reads it of a letter that is ready.
        let evidence = if let Event::Ended { evidence, .. } = event { evidence } else { Recovery::Signal };
        let occasion = Occasion { outage: subject.outage, at, evidence, expires: at + telling.lifetime };
        written += u64::from(ready::write(conn, &occasion, to, &notice(subject, event, to))?.is_some());
    }
    Ok(written)
}
