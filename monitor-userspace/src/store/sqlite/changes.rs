//! The machine's changes, applied in order within one transaction.

use std::time::Duration;

use rusqlite::{Connection, named_params};

use super::{
    super::{Applied, StoreError},
    closing,
    columns::{Address, number},
    writer::Session,
};
use crate::outage::{Change, ClientAddr, Failure, Outage, OutageId, Phase, UnixMs};

pub(in crate::store) fn apply(
    session: &mut Session<'_>,
    changes: &[Change],
    letter_lifetime: Duration,
) -> Result<Applied, StoreError> {
    let mut applied = Applied::default();
    for change in changes {
        match change {
            Change::Put(outage) => put(session.conn, outage)?,
            Change::Wait { outage, client, at, attempts, evidence } => {
                let attempt = Attempt { at: *at, count: *attempts, evidence: *evidence };
                wait(session.conn, *outage, *client, &attempt)?;
            }
            Change::Withdraw { outage, client, attempts } => withdraw(session.conn, *outage, *client, *attempts)?,
            Change::Connected { outage, client, at } => connected(session.conn, *outage, *client, *at)?,
            Change::Close(closing) => {
                let closed = closing::close(session, closing, letter_lifetime)?;
                applied.letters += closed.letters;
                applied.untold += closed.untold;
            }
            Change::Discard { outage, at } => applied.untold += discard(session.conn, *outage, *at)?,
            Change::Purge { older_than } => applied.untold += purge(session.conn, *older_than)?,
        }
    }
    Ok(applied)
}

/// Failed attempts of one client that are noted together.
struct Attempt {
    at: UnixMs,
    count: u32,
    evidence: Failure,
}

fn put(conn: &Connection, outage: &Outage) -> Result<(), StoreError> {
    let (phase, settling) = match outage.phase {
        Phase::Suspected => ("suspected", None),
        Phase::Open => ("open", None),
        Phase::Settling { until, evidence, recovered } => ("settling", Some((until, evidence, recovered))),
    };
    conn.prepare_cached(
        "INSERT INTO outage (id, server, port, since, latest, evidence, level, failures, phase,
             settle_until, settle_evidence, settle_recovered)
         VALUES (:id, :server, :port, :since, :latest, :evidence, :level, :failures, :phase,
             :settle_until, :settle_evidence, :settle_recovered)
         ON CONFLICT (id) DO UPDATE SET since = excluded.since, latest = excluded.latest, evidence = excluded.evidence,
             level = excluded.level, failures = excluded.failures, phase = excluded.phase,
             settle_until = excluded.settle_until, settle_evidence = excluded.settle_evidence,
             settle_recovered = excluded.settle_recovered
         WHERE outage.ended IS NULL",
    )?
    .execute(named_params! {
        ":id": outage.id,
        ":server": Address(outage.service.addr()),
        ":port": outage.service.port(),
        ":since": outage.since,
        ":latest": outage.latest,
        ":evidence": outage.evidence,
        ":level": outage.level,
        ":failures": number(outage.failures),
        ":phase": phase,
        ":settle_until": settling.map(|(until, ..)| until),
        ":settle_evidence": settling.map(|(_, evidence, _)| evidence),
        ":settle_recovered": settling.map(|(.., recovered)| recovered),
    })?;
    Ok(())
}

/// F-7: each client once; F-4's evidence says nothing new about why.
fn wait(conn: &Connection, outage: OutageId, client: ClientAddr, attempt: &Attempt) -> Result<(), StoreError> {
    let new = conn
        .prepare_cached(
            "INSERT INTO waiting (outage, client, first, latest, attempts, evidence)
             SELECT id, ?2, ?3, ?3, ?4, ?5 FROM outage WHERE id = ?1 AND ended IS NULL
             ON CONFLICT (outage, client) DO NOTHING",
        )?
        .execute((outage, client, attempt.at, attempt.count, attempt.evidence))?;
    if new > 0 {
        conn.prepare_cached("UPDATE outage SET clients = clients + 1 WHERE id = ?1")?.execute([outage])?;
        return Ok(());
    }
    let known = conn
        .prepare_cached(
            "UPDATE waiting SET latest = CASE WHEN latest < ?3 THEN ?3 ELSE latest END, attempts = attempts + ?4,
                 evidence = CASE WHEN ?5 = ?6 THEN evidence ELSE ?5 END, connected = NULL
             WHERE outage = ?1 AND client = ?2",
        )?
        .execute((outage, client, attempt.at, attempt.count, attempt.evidence, Failure::KnownFailed))?;
    if known == 0 {
        tracing::warn!(%outage, "attempt_for_ended_outage");
    }
    Ok(())
}

fn withdraw(conn: &Connection, outage: OutageId, client: ClientAddr, attempts: u32) -> Result<(), StoreError> {
    let gone = conn
        .prepare_cached("DELETE FROM waiting WHERE outage = ?1 AND client = ?2 AND attempts <= ?3")?
        .execute((outage, client, attempts))?;
    if gone > 0 {
        conn.prepare_cached("UPDATE outage SET clients = clients - 1 WHERE id = ?1")?.execute([outage])?;
    } else {
        conn.prepare_cached("UPDATE waiting SET attempts = attempts - ?3 WHERE outage = ?1 AND client = ?2")?
            .execute((outage, client, attempts))?;
    }
    Ok(())
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

/// F-8.
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
