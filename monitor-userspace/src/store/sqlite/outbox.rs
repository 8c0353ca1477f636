//! The outbox: letters are leased to who delivers them, and what became of each is kept.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{
    super::{DeadLetter, Letter, LetterId, LetterService, OutboxCounts, Outcome, StoreError},
    columns::{count, service},
    ready,
};
use crate::outage::UnixMs;

/// Gives out letters. The lease is durable too, so that a clock or a task gone wrong cannot send one twice at once.
pub(in crate::store) fn take_due(
    conn: &Connection,
    now: UnixMs,
    limit: u32,
    lease: Duration,
) -> Result<Vec<Letter>, StoreError> {
    let mut letters: Vec<Letter> = conn
        .prepare_cached(
            "SELECT id, outage, client, mail, language, recovered, evidence, tries, expires FROM letter
             WHERE state = 'queued' AND due <= ?1 ORDER BY due, id LIMIT ?2",
        )?
        .query_map((now, limit), letter)?
        .collect::<Result<_, _>>()?;
    let mut keep = conn.prepare_cached("UPDATE letter SET due = ?2, leased = 1 WHERE id = ?1")?;
    let mut spoken_of = conn.prepare_cached(
        "SELECT s.outage, o.server, o.port, o.server_name, o.since, s.first, s.latest, s.attempts, s.failure
         FROM letter_service s JOIN outage o ON o.id = s.outage WHERE s.letter = ?1 ORDER BY s.outage",
    )?;
    for letter in &mut letters {
        keep.execute((letter.id, now + lease))?;
        letter.ready = ready::read(conn, letter.id)?;
        letter.services = spoken_of.query_map([letter.id], letter_service)?.collect::<Result<_, _>>()?;
    }
    Ok(letters)
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter {
        id: row.get("id")?,
        outage: row.get("outage")?,
        client: row.get("client")?,
        to: row.get("mail")?,
        language: row.get("language")?,
        services: Vec::new(),
        recovered: row.get("recovered")?,
        evidence: row.get("evidence")?,
        tries: row.get("tries")?,
        expires: row.get("expires")?,
        ready: None,
    })
}

fn letter_service(row: &Row<'_>) -> rusqlite::Result<LetterService> {
    Ok(LetterService {
        outage: row.get("outage")?,
        service: service(row)?,
        server_name: row.get("server_name")?,
        since: row.get("since")?,
        first: row.get("first")?,
        latest: row.get("latest")?,
        attempts: count(row, "attempts")?,
        failure: row.get("failure")?,
    })
}

pub(in crate::store) fn record(conn: &Connection, outcomes: &[(LetterId, Outcome)]) -> Result<(), StoreError> {
    let mut tally = Tally::default();
    for (id, outcome) in outcomes {
        record_one(conn, *id, outcome, &mut tally)?;
    }
    conn.prepare_cached(
        "UPDATE letter_tally SET queued = queued + ?1, retrying = retrying + ?2, delivered = delivered + ?3,
             dead = dead + ?4, last_error = COALESCE(?5, last_error)",
    )?
    .execute((tally.queued, tally.retrying, tally.delivered, tally.dead, tally.last_error))?;
    Ok(())
}

/// What a batch of outcomes adds to the outbox's numbers.
#[derive(Default)]
struct Tally<'a> {
    queued: i64,
    retrying: i64,
    delivered: i64,
    dead: i64,
    last_error: Option<&'a str>,
}

fn record_one<'a>(
    conn: &Connection,
    id: LetterId,
    outcome: &'a Outcome,
    tally: &mut Tally<'a>,
) -> Result<(), StoreError> {
    let tries: Option<u32> = match outcome {
        Outcome::Delivered { at } => settle(conn, id, "delivered", *at, None)?,
        Outcome::Dead { at, reason } => settle(conn, id, "dead", *at, Some(reason))?,
        Outcome::Retry { at, reason } => conn
            .prepare_cached(
                "UPDATE letter SET tries = tries + 1, due = ?2, leased = 0, reason = ?3
                 WHERE id = ?1 AND state = 'queued' RETURNING tries",
            )?
            .query_row((id, at, reason), |row| row.get(0))
            .optional()?,
    };
    let Some(tries) = tries else { return Ok(()) };
    let first_try = tries == 1;
    match outcome {
        Outcome::Delivered { .. } => tally.delivered += 1,
        Outcome::Dead { reason, .. } => {
            tally.dead += 1;
            tally.last_error = Some(reason);
        }
        Outcome::Retry { reason, .. } => {
            tally.retrying += i64::from(first_try);
            tally.last_error = Some(reason);
            return Ok(());
        }
    }
    tally.queued -= 1;
    tally.retrying -= i64::from(!first_try);
    Ok(())
}

/// Takes the letter out of the queue; says how often it was tried, or `None` when it was not in the queue.
fn settle(
    conn: &Connection,
    id: LetterId,
    state: &str,
    at: UnixMs,
    reason: Option<&str>,
) -> Result<Option<u32>, StoreError> {
    Ok(conn
        .prepare_cached(
            "UPDATE letter SET state = ?2, tries = tries + 1, leased = 0, settled = ?3, reason = ?4
             WHERE id = ?1 AND state = 'queued' RETURNING tries",
        )?
        .query_row((id, state, at, reason), |row| row.get(0))
        .optional()?)
}

/// A letter that was given out had been due: it is due again at once.
pub(in crate::store) fn release_leases(conn: &Connection) -> Result<(), StoreError> {
    conn.execute("UPDATE letter SET due = recovered, leased = 0 WHERE state = 'queued' AND leased = 1", ())?;
    Ok(())
}

pub(in crate::store) fn next_due(conn: &Connection) -> Result<Option<UnixMs>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT due FROM letter WHERE state = 'queued' ORDER BY due LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?)
}

pub(in crate::store) fn counts(conn: &Connection) -> Result<OutboxCounts, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT queued, retrying, delivered, dead, last_error,
                 (SELECT recovered FROM letter WHERE state = 'queued' ORDER BY recovered LIMIT 1) AS oldest
             FROM letter_tally",
        )?
        .query_row((), |row| {
            Ok(OutboxCounts {
                queued: count(row, "queued")?,
                retrying: count(row, "retrying")?,
                delivered: count(row, "delivered")?,
                dead: count(row, "dead")?,
                oldest_queued: row.get("oldest")?,
                last_error: row.get("last_error")?,
            })
        })?)
}

pub(in crate::store) fn dead_letters(conn: &Connection, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.id, l.mail, o.server, o.port, r.subject, l.settled, l.reason FROM letter l
         LEFT JOIN outage o ON o.id = l.outage LEFT JOIN letter_ready r ON r.letter = l.id
         WHERE l.state = 'dead' ORDER BY l.settled DESC, l.id DESC LIMIT ?1",
    )?;
    let rows = select.query_map([limit], |row| {
        Ok(DeadLetter {
            id: row.get("id")?,
            to: row.get("mail")?,
            service: row.get::<_, Option<u16>>("port")?.map(|_| service(row)).transpose()?,
            subject: row.get("subject")?,
            at: row.get("settled")?,
            reason: row.get("reason")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
