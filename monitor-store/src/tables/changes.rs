//! The machine's changes, applied in order within one transaction.

use std::collections::{HashMap, HashSet};

use monitor_core::{
    domain::{AttemptMask, ClientAddr, OutageId, UnixMs},
    outage::{Change, Outage, Phase},
};

use super::{
    super::{Applied, NotificationPolicy, StoreError},
    closing,
    columns::{Address, number},
    notices,
    session::Session,
    waiting::{Attempts, WaitingLists},
};
use crate::sql::Connection;

pub(crate) fn apply(
    session: &mut Session<'_>,
    changes: &[Change],
    telling: &NotificationPolicy,
) -> Result<Applied, StoreError> {
    let mut applied = Applied::default();
    let rows = rows_to_put(changes);
    let mut lists = WaitingLists::new(session.conn);
    let mut put_outages = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        match change {
            Change::Put(outage) if rows.contains(&index) => {
                put(session.conn, outage)?;
                lists.look_again(outage.id);
                put_outages.push(outage.id);
            }
            // A later one in the batch overwrites it.
            Change::Put(_) => {}
            Change::Wait { outage, client, at, trying_until, attempts, evidence, mask } => {
                lists.wait(*outage, *client, Attempts::new(*at, *trying_until, (*attempts, *mask), *evidence))?;
            }
            Change::Withdraw { outage, instead, client, attempts, mask } => {
                lists.write()?;
                for outage in std::iter::once(outage).chain(instead) {
                    if withdraw(session.conn, *outage, *client, (*attempts, *mask))? {
                        break;
                    }
                }
            }
            Change::Connected { outage, client, at } => {
                lists.write()?;
                connected(session.conn, *outage, *client, *at)?;
            }
            Change::Close(closing) => {
                lists.count()?;
                let closed = closing::close(session, closing, telling)?;
                applied.letters += closed.letters;
                applied.untold += closed.untold;
            }
            Change::Settle { closing, last } => {
                lists.count()?;
                let settled = closing::settle(session, closing, *last, telling)?;
                applied.letters += settled.letters;
                applied.untold += settled.untold;
            }
            Change::EndedElsewhere { outage, at, until } => {
                lists.count()?;
                closing::ended_elsewhere(session.conn, *outage, *at, *until)?;
            }
            Change::Discard { outage, at } => {
                lists.count()?;
                notices::ended(session.conn, *outage, "discarded", *at, telling)?;
                applied.untold += discard(session.conn, *outage, *at)?;
            }
            Change::Purge { older_than } => {
                lists.count()?;
                applied.untold += purge(session.conn, *older_than)?;
            }
        }
    }
    lists.count()?;
    for outage in put_outages {
        notices::opened(session.conn, outage, telling)?;
    }
    Ok(applied)
}

pub(super) fn put(conn: &Connection, outage: &Outage) -> Result<(), StoreError> {
    let (phase, settling) = match outage.phase {
        Phase::Suspected => ("suspected", None),
        Phase::Open => ("open", None),
        Phase::Settling { until, evidence, recovered } => ("settling", Some((until, evidence, recovered))),
    };
    conn.prepare_cached(
        "INSERT INTO outage (id, server, port, since, latest, evidence, level, failures, phase,
             settle_until, settle_evidence, settle_recovered, from_ns, until_ns, latest_ns, latest_answers, trying_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
         ON CONFLICT (id) DO UPDATE SET since = excluded.since, latest = excluded.latest, evidence = excluded.evidence,
             level = excluded.level, failures = excluded.failures, phase = excluded.phase,
             settle_until = excluded.settle_until, settle_evidence = excluded.settle_evidence,
             settle_recovered = excluded.settle_recovered, from_ns = excluded.from_ns, until_ns = excluded.until_ns,
             latest_ns = excluded.latest_ns, latest_answers = excluded.latest_answers,
             trying_until = excluded.trying_until
         WHERE outage.ended IS NULL",
    )?
    .execute((
        outage.id,
        Address(outage.service.addr()),
        outage.service.port(),
        outage.since,
        outage.latest,
        outage.evidence,
        outage.level,
        number(outage.failures),
        phase,
        settling.map(|(until, ..)| until),
        settling.map(|(_, evidence, _)| evidence),
        settling.map(|(.., recovered)| recovered),
        number(outage.span.from.0),
        outage.span.until.map(|until| number(until.0)),
        outage.span.latest.map(|latest| number(latest.seen.0)),
        outage.span.latest.map(|latest| i64::from(latest.answers)),
        outage.trying_until,
    ))?;
    Ok(())
}

/// Which of the batch's `Put`s must be written. For each outage these are the first, which may make the row that other
/// changes refer to, and the last. If a service fails a thousand times a second, those in between would be overwritten.
fn rows_to_put(changes: &[Change]) -> HashSet<usize> {
    let (mut first, mut last) = (HashMap::new(), HashMap::new());
    for (index, change) in changes.iter().enumerate() {
        if let Change::Put(outage) = change {
            first.entry(outage.id).or_insert(index);
            last.insert(outage.id, index);
        }
    }
    first.into_values().chain(last.into_values()).collect()
}

/// Returns whether the client's line has counted them.
fn withdraw(
    conn: &Connection,
    outage: OutageId,
    client: ClientAddr,
    (attempts, mask): (u32, AttemptMask),
) -> Result<bool, StoreError> {
    // What was only announced is not counted.
    let mask = if attempts == 0 { AttemptMask::NONE } else { mask };
    let is_any = i64::from(mask == AttemptMask::ANY);
    let key = (outage, client, attempts, mask.bits(), is_any);
    const COUNTED: &str = "outage = ?1 AND client = ?2 AND (?5 = 1 OR counted & ?4 = ?4)";
    let gone = conn
        .prepare_cached(&format!("DELETE FROM waiting WHERE {COUNTED} AND attempts <= ?3 AND asked = 0"))?
        .execute(key)?;
    if gone > 0 {
        conn.prepare_cached("UPDATE outage SET clients = clients - 1 WHERE id = ?1")?.execute([outage])?;
        return Ok(true);
    }
    let fewer = "CASE WHEN attempts > ?3 THEN attempts - ?3 ELSE 0 END";
    let taken = conn.prepare_cached(&format!("UPDATE waiting SET attempts = {fewer} WHERE {COUNTED}"))?.execute(key)?;
    Ok(taken > 0)
}

fn connected(conn: &Connection, outage: OutageId, client: ClientAddr, at: UnixMs) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE waiting SET connected = ?3 WHERE outage = ?1 AND client = ?2")?
        .execute((outage, client, at))?;
    Ok(())
}

fn discard(conn: &Connection, outage: OutageId, at: UnixMs) -> Result<u64, StoreError> {
    conn.execute("UPDATE outage SET ended = ?2 WHERE id = ?1 AND ended IS NULL", (outage, at))?;
    let untold = conn.execute("DELETE FROM waiting WHERE outage = ?1", [outage])?;
    Ok(untold as u64)
}

/// Removes clients whose latest attempt is too old (F-8).
fn purge(conn: &Connection, older_than: UnixMs) -> Result<u64, StoreError> {
    let gone = conn.execute("DELETE FROM waiting WHERE latest < ?1", [older_than])?;
    if gone > 0 {
        conn.execute(
            "UPDATE outage SET clients = (SELECT count(*) FROM waiting WHERE waiting.outage = outage.id)
             WHERE ended IS NULL",
            (),
        )?;
    }
    Ok(gone as u64)
}
