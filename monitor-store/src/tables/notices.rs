//! Notices to operators (B-1). An event is noted in the transaction that makes it happen, and told when it is due.

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::notice::{Event, Pace, Peer, Subject, Timing, message},
};

use super::{
    super::{NotificationPolicy, StoreError},
    columns::{count, service},
    ready,
};
use crate::sql::{Connection, Error, OptionalExtension as _, Row};

/// The outage of an event about a peer. The ids of outages begin with 1.
const NO_OUTAGE: OutageId = OutageId(0);

/// An event, as it is noted for each recipient.
struct Note<'a> {
    kind: &'static str,
    outage: OutageId,
    peer: &'a str,
    since: UnixMs,
    at: UnixMs,
}

/// Notes once that an outage is open.
pub(super) fn opened(conn: &Connection, outage: OutageId, telling: &NotificationPolicy) -> Result<(), StoreError> {
    if telling.notices.is_empty() {
        return Ok(());
    }
    let noted =
        conn.prepare_cached("SELECT 1 FROM notice_event WHERE outage = ?1 AND kind = 'opened'")?.exists([outage])?;
    let open = "SELECT * FROM outage WHERE id = ?1 AND ended IS NULL AND phase <> 'suspected'";
    let subject = if noted { None } else { subject(conn, open, outage)? };
    let Some(subject) = subject else { return Ok(()) };
    let note = Note { kind: "opened", outage, peer: "", since: subject.since, at: subject.since };
    let recipients = telling.notices.of_outage(subject.service.addr(), subject.evidence);
    write(conn, &note, &recipients, crate::clock::now())
}

/// Notes that an outage is over, for the recipients of its opening. `kind` is `ended` or `discarded`.
pub(super) fn ended(
    conn: &Connection,
    outage: OutageId,
    kind: &'static str,
    at: UnixMs,
    telling: &NotificationPolicy,
) -> Result<(), StoreError> {
    let told: Vec<(String, UnixMs)> = conn
        .prepare_cached("SELECT recipient, since FROM notice_event WHERE outage = ?1 AND kind = 'opened'")?
        .query_map([outage], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (recipient, since) in told {
        let note = Note { kind, outage, peer: "", since, at };
        // Recipients that the configuration no longer names are told nothing.
        if let Some(timing) = telling.notices.timing(&recipient) {
            write(conn, &note, &[(recipient, timing)], crate::clock::now())?;
        }
    }
    Ok(())
}

/// Notes that a peer is down or back.
pub(crate) fn peer(
    conn: &Connection,
    peer: &Peer,
    now: UnixMs,
    telling: &NotificationPolicy,
) -> Result<(), StoreError> {
    let note = Note {
        kind: if peer.back.is_some() { "peer-back" } else { "peer-down" },
        outage: NO_OUTAGE,
        peer: &peer.name,
        since: peer.since,
        at: peer.back.unwrap_or(peer.since),
    };
    write(conn, &note, &telling.notices.of_peer(peer), now)
}

fn write(conn: &Connection, note: &Note<'_>, recipients: &[(String, Timing)], now: UnixMs) -> Result<(), StoreError> {
    for (recipient, timing) in recipients {
        let due = pace(conn, recipient)?.happened(now, *timing);
        conn.prepare_cached(
            "INSERT INTO notice_event (recipient, kind, outage, peer, since, at, noted, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute((recipient, note.kind, note.outage, note.peer, note.since, note.at, now, due))?;
    }
    Ok(())
}

fn pace(conn: &Connection, recipient: &str) -> Result<Pace, StoreError> {
    let latest = conn
        .prepare_cached("SELECT latest FROM notice_recipient WHERE recipient = ?1")?
        .query_row([recipient], |row| row.get(0))
        .optional()?;
    let (since, due) = conn
        .prepare_cached("SELECT MIN(noted), MIN(due) FROM notice_event WHERE recipient = ?1 AND due IS NOT NULL")?
        .query_row([recipient], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Pace { latest, since, due })
}

/// The recipients that are to be told now.
pub(crate) fn due(conn: &Connection, now: UnixMs) -> Result<Vec<String>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT recipient, MIN(noted), MIN(due) FROM notice_event WHERE due IS NOT NULL GROUP BY recipient",
    )?;
    let waiting: Vec<(String, Pace)> = select
        .query_map((), |row| Ok((row.get(0)?, Pace { latest: None, since: row.get(1)?, due: row.get(2)? })))?
        .collect::<Result<_, _>>()?;
    Ok(waiting.into_iter().filter(|(_, pace)| pace.is_due(now)).map(|(recipient, _)| recipient).collect())
}

/// How many events are still to be told.
pub(crate) fn waiting(conn: &Connection) -> Result<u64, StoreError> {
    let mut select = conn.prepare_cached("SELECT COUNT(*) AS events FROM notice_event WHERE due IS NOT NULL")?;
    Ok(select.query_row((), |row| count(row, "events"))?)
}

/// Writes one message to each recipient that is due; says how many.
pub(crate) fn tell(conn: &Connection, now: UnixMs, telling: &NotificationPolicy) -> Result<u64, StoreError> {
    let mut written = 0;
    for recipient in due(conn, now)? {
        let rows: Vec<(i64, UnixMs, Option<Event>)> = conn
            .prepare_cached(
                "SELECT e.id, e.kind, e.peer, e.since AS begin, e.at, e.noted, o.id AS subject, o.server, o.port,
                     o.server_name, o.evidence, o.clients, o.recovery FROM notice_event e
                 LEFT JOIN outage o ON o.id = e.outage WHERE e.recipient = ?1 AND e.due IS NOT NULL ORDER BY e.id",
            )?
            .query_map([&recipient], |row| Ok((row.get(0)?, row.get("noted")?, event(row)?)))?
            .collect::<Result<_, _>>()?;
        let first = rows.first().map(|(id, noted, _)| (*id, *noted));
        let events: Vec<_> = rows.into_iter().filter_map(|(.., event)| event).collect();
        if let Some(first) = first.filter(|_| !events.is_empty() && telling.notices.timing(&recipient).is_some()) {
            let letter = message(events, first, &recipient, now);
            written += u64::from(ready::write(conn, &letter, now + telling.lifetime)?.is_some());
        }
        let mut pace = pace(conn, &recipient)?;
        pace.told(now);
        conn.prepare_cached("UPDATE notice_event SET due = NULL WHERE recipient = ?1 AND due IS NOT NULL")?
            .execute([&recipient])?;
        conn.prepare_cached(
            "INSERT INTO notice_recipient (recipient, latest) VALUES (?1, ?2)
             ON CONFLICT (recipient) DO UPDATE SET latest = excluded.latest",
        )?
        .execute((&recipient, pace.latest))?;
    }
    Ok(written)
}

/// Deletes events that were told before then, except those of outages that are open.
pub(super) fn prune(conn: &Connection, before: UnixMs) -> Result<(), StoreError> {
    conn.execute(
        "DELETE FROM notice_event WHERE due IS NULL AND at < ?1
             AND outage NOT IN (SELECT id FROM outage WHERE ended IS NULL)",
        [before],
    )?;
    conn.execute("DELETE FROM notice_recipient WHERE latest < ?1", [before])?;
    Ok(())
}

/// `None` if the outage's row is gone.
fn event(row: &Row<'_>) -> Result<Option<Event>, Error> {
    let kind: String = row.get("kind")?;
    match kind.as_str() {
        "peer-down" => return Ok(Some(Event::PeerDown { peer: row.get("peer")?, since: row.get("begin")? })),
        "peer-back" => return Ok(Some(Event::PeerBack { peer: row.get("peer")?, at: row.get("at")? })),
        _ => {}
    }
    if row.get::<_, Option<i64>>("subject")?.is_none() {
        return Ok(None);
    }
    let subject = from_row(row, "subject", "begin")?;
    Ok(Some(match kind.as_str() {
        "opened" => Event::Opened(subject),
        _ => Event::Ended { subject, at: row.get("at")?, evidence: row.get("recovery")? },
    }))
}

fn subject(conn: &Connection, sql: &str, outage: OutageId) -> Result<Option<Subject>, StoreError> {
    Ok(conn.prepare_cached(sql)?.query_row([outage], |row| from_row(row, "id", "since")).optional()?)
}

fn from_row(row: &Row<'_>, id: &str, since: &str) -> Result<Subject, Error> {
    Ok(Subject {
        outage: row.get(id)?,
        service: service(row)?,
        name: row.get("server_name")?,
        evidence: row.get("evidence")?,
        since: row.get(since)?,
        clients: count(row, "clients")?,
    })
}
