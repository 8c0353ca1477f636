//! The outbox: letters are leased to the process that delivers them, and the outcome of each try is kept.

use std::time::Duration;

use monitor_core::{
    domain::{Language, UnixMs},
    mail::{Content, Letter, LetterId, LetterService, Outcome, Ready, Recovered},
};

use super::{
    super::{DeadLetter, OutboxCounts, StoreError},
    columns::{count, service},
    ready,
};
use crate::sql::{Connection, Error, OptionalExtension as _, Row};

/// Gives out letters. The lease is durable, so that no error of a clock or a task can send a letter twice at once.
pub(crate) fn take_due(
    conn: &Connection,
    now: UnixMs,
    limit: u32,
    lease: Duration,
    holder: i64,
) -> Result<Vec<Letter>, StoreError> {
    // Rows that another gateway is about to take are passed over, not waited for.
    let take = format!(
        "SELECT id, key, recipient, language, at, tries, expires FROM letter
         WHERE state = 'queued' AND due <= ?1 ORDER BY due, id LIMIT ?2{}",
        conn.skip_locked()
    );
    let rows: Vec<Queued> = conn.prepare_cached(&take)?.query_map((now, limit), queued)?.collect::<Result<_, _>>()?;
    let ids: Vec<_> = rows.iter().map(|row| [row.id]).collect();
    let leases: Vec<_> = rows.iter().map(|row| (row.id, now + lease, holder)).collect();
    conn.prepare_cached("UPDATE letter SET due = ?2, leased = ?3 WHERE id = ?1")?.execute_each(&leases)?;
    let words = ready::read_each(conn, &ids)?;
    let services = conn
        .prepare_cached(
            "SELECT s.outage, s.client, o.server, o.port, o.server_name, o.since, s.first, s.latest, s.attempts, s.failure
             FROM letter_service s JOIN outage o ON o.id = s.outage WHERE s.letter = ?1 ORDER BY s.outage",
        )?
        .query_each(&ids, letter_service)?;
    Ok(rows.into_iter().zip(words).zip(services).map(|((row, words), services)| row.says(words, services)).collect())
}

/// A letter's row, without what it says.
struct Queued {
    id: LetterId,
    key: String,
    to: String,
    language: Option<Language>,
    at: UnixMs,
    tries: u32,
    expires: UnixMs,
}

impl Queued {
    fn says(self, words: Option<Ready>, services: Vec<LetterService>) -> Letter {
        let Self { id, key, to, language, at, tries, expires } = self;
        let says = match words {
            Some(ready) => Content::Ready(ready),
            None => Content::Recovered(Recovered { language, services }),
        };
        Letter { id, key, to, at, tries, expires, says }
    }
}

fn queued(row: &Row<'_>) -> Result<Queued, Error> {
    Ok(Queued {
        id: row.get("id")?,
        key: row.get("key")?,
        to: row.get("recipient")?,
        language: row.get("language")?,
        at: row.get("at")?,
        tries: row.get("tries")?,
        expires: row.get("expires")?,
    })
}

fn letter_service(row: &Row<'_>) -> Result<LetterService, Error> {
    Ok(LetterService {
        outage: row.get("outage")?,
        client: row.get("client")?,
        service: service(row)?,
        server_name: row.get("server_name")?,
        since: row.get("since")?,
        first: row.get("first")?,
        latest: row.get("latest")?,
        attempts: count(row, "attempts")?,
        failure: row.get("failure")?,
    })
}

pub(crate) fn record(conn: &Connection, outcomes: &[(LetterId, Outcome)], holder: i64) -> Result<(), StoreError> {
    let mut tally = Tally::default();
    for ((_, outcome), tries) in outcomes.iter().zip(keep(conn, outcomes, holder)?) {
        // A letter that is not in the queue does not count again.
        if let Some(tries) = tries {
            tally.add(outcome, tries);
        }
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

impl<'a> Tally<'a> {
    fn add(&mut self, outcome: &'a Outcome, tries: u32) {
        let first_try = tries == 1;
        match outcome {
            Outcome::Delivered { .. } => self.delivered += 1,
            Outcome::Dead { reason, .. } => {
                self.dead += 1;
                self.last_error = Some(reason);
            }
            Outcome::Retry { reason, .. } => {
                self.retrying += i64::from(first_try);
                self.last_error = Some(reason);
                return;
            }
        }
        self.queued -= 1;
        self.retrying -= i64::from(!first_try);
    }
}

/// Writes outcomes into the rows of letters that are in the queue; says how often each was tried, or `None`. A letter
/// that another gateway has taken meanwhile is not put off.
fn keep(conn: &Connection, outcomes: &[(LetterId, Outcome)], holder: i64) -> Result<Vec<Option<u32>>, StoreError> {
    let mut tries = vec![None; outcomes.len()];
    let (mut settled, mut retried) = (Vec::new(), Vec::new());
    for (index, (id, outcome)) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Delivered { at } => settled.push((index, (*id, "delivered", *at, None))),
            Outcome::Dead { at, reason } => settled.push((index, (*id, "dead", *at, Some(reason)))),
            Outcome::Retry { at, reason } => retried.push((index, (*id, *at, reason, holder))),
        }
    }
    let read = |row: &Row<'_>| row.get(0);
    let (places, rows): (Vec<usize>, Vec<_>) = settled.into_iter().unzip();
    let found = conn
        .prepare_cached(
            "UPDATE letter SET state = ?2, tries = tries + 1, leased = 0, settled = ?3, reason = ?4
             WHERE id = ?1 AND state = 'queued' RETURNING tries",
        )?
        .query_each(&rows, read)?;
    places.into_iter().zip(found).for_each(|(place, found)| tries[place] = found.first().copied());
    let (places, rows): (Vec<usize>, Vec<_>) = retried.into_iter().unzip();
    let found = conn
        .prepare_cached(
            "UPDATE letter SET tries = tries + 1, due = ?2, leased = 0, reason = ?3
             WHERE id = ?1 AND state = 'queued' AND leased IN (0, ?4) RETURNING tries",
        )?
        .query_each(&rows, read)?;
    places.into_iter().zip(found).for_each(|(place, found)| tries[place] = found.first().copied());
    Ok(tries)
}

/// Letters that were given out had been due, so they are due again at once.
pub(crate) fn release_leases(conn: &Connection, holder: i64) -> Result<(), StoreError> {
    conn.execute("UPDATE letter SET due = at, leased = 0 WHERE state = 'queued' AND leased = ?1", [holder])?;
    Ok(())
}

/// Gives the letters of this holder to no other one before `until`.
pub(crate) fn renew_leases(conn: &Connection, until: UnixMs, holder: i64) -> Result<(), StoreError> {
    conn.execute("UPDATE letter SET due = ?1 WHERE state = 'queued' AND leased = ?2", (until, holder))?;
    Ok(())
}

pub(crate) fn next_due(conn: &Connection) -> Result<Option<UnixMs>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT due FROM letter WHERE state = 'queued' ORDER BY due LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?)
}

pub(crate) fn counts(conn: &Connection) -> Result<OutboxCounts, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT queued, retrying, delivered, dead, last_error,
                 (SELECT at FROM letter WHERE state = 'queued' ORDER BY at LIMIT 1) AS oldest
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

pub(crate) fn dead_letters(conn: &Connection, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.id, l.recipient, o.server, o.port, w.subject, l.settled, l.reason FROM letter l
         LEFT JOIN outage o ON o.id = (SELECT MIN(s.outage) FROM letter_service s WHERE s.letter = l.id)
         LEFT JOIN letter_words w ON w.letter = l.id
         WHERE l.state = 'dead' ORDER BY l.settled DESC, l.id DESC LIMIT ?1",
    )?;
    let rows = select.query_map([limit], |row| {
        Ok(DeadLetter {
            id: row.get("id")?,
            to: row.get("recipient")?,
            service: row.get::<_, Option<u16>>("port")?.map(|_| service(row)).transpose()?,
            subject: row.get("subject")?,
            at: row.get("settled")?,
            reason: row.get("reason")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
