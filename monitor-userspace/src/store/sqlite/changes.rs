//! The machine's changes, applied in order within one transaction.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use rusqlite::{CachedStatement, Connection, named_params};

use super::{
    super::{Applied, StoreError, Telling},
    closing,
    columns::{Address, number},
    notices,
    writer::Session,
};
use crate::outage::{Change, ClientAddr, Failure, Outage, OutageId, Phase, UnixMs};

pub(in crate::store) fn apply(
    session: &mut Session<'_>,
    changes: &[Change],
    telling: &Telling,
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
            // A later one in the batch says more.
            Change::Put(_) => {}
            Change::Wait { outage, client, at, attempts, evidence } => {
                let attempt = Attempt { at: *at, count: *attempts, evidence: *evidence };
                lists.wait(*outage, *client, &attempt)?;
            }
            Change::Withdraw { outage, client, attempts } => withdraw(session.conn, *outage, *client, *attempts)?,
            Change::Connected { outage, client, at } => connected(session.conn, *outage, *client, *at)?,
            Change::Close(closing) => {
                lists.count()?;
                let closed = closing::close(session, closing, telling)?;
                applied.letters += closed.letters;
                applied.untold += closed.untold;
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

/// Failed attempts of one client that are noted together.
struct Attempt {
    at: UnixMs,
    count: u32,
    evidence: Failure,
}

pub(super) fn put(conn: &Connection, outage: &Outage) -> Result<(), StoreError> {
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

/// Which of the batch's `Put`s must be written: of each outage the first, which may make the row that others refer to, and
/// the last. In an outage that fails a thousand times a second all those between say nothing that lasts.
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

/// The waiting lists that one batch adds to. Statements are kept, and clients counted here, as long as the batch lasts:
/// attempts come by the hundred thousand per second.
struct WaitingLists<'a> {
    conn: &'a Connection,
    insert: Option<CachedStatement<'a>>,
    lists: HashMap<OutageId, List>,
}

#[derive(Clone, Copy, Default)]
struct List {
    is_open: bool,
    /// Clients that are not yet counted in the outage's row.
    new: u64,
}

impl<'a> WaitingLists<'a> {
    fn new(conn: &'a Connection) -> Self {
        Self { conn, insert: None, lists: HashMap::new() }
    }

    /// F-7: each client once; F-4's evidence says nothing new about why.
    fn wait(&mut self, outage: OutageId, client: ClientAddr, attempt: &Attempt) -> Result<(), StoreError> {
        let list = match self.lists.entry(outage) {
            Entry::Occupied(list) => list.into_mut(),
            Entry::Vacant(place) => place.insert(List { is_open: closing::is_open(self.conn, outage)?, new: 0 }),
        };
        if !list.is_open {
            tracing::warn!(%outage, "attempt_for_ended_outage");
            return Ok(());
        }
        let insert = match &mut self.insert {
            Some(insert) => insert,
            none => none.insert(self.conn.prepare_cached(
                "INSERT INTO waiting (outage, client, first, latest, attempts, evidence) VALUES (?1, ?2, ?3, ?3, ?4, ?5)
                 ON CONFLICT (outage, client) DO NOTHING",
            )?),
        };
        if insert.execute((outage, client, attempt.at, attempt.count, attempt.evidence))? > 0 {
            list.new += 1;
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "UPDATE waiting SET latest = CASE WHEN latest < ?3 THEN ?3 ELSE latest END, attempts = attempts + ?4,
                     evidence = CASE WHEN ?5 = ?6 THEN evidence ELSE ?5 END, connected = NULL
                 WHERE outage = ?1 AND client = ?2",
            )?
            .execute((outage, client, attempt.at, attempt.count, attempt.evidence, Failure::KnownFailed))?;
        Ok(())
    }

    /// The outage's row may be new.
    fn look_again(&mut self, outage: OutageId) {
        if self.lists.get(&outage).is_some_and(|list| !list.is_open) {
            self.lists.remove(&outage);
        }
    }

    /// Writes the counts. What comes next in the batch may end outages.
    fn count(&mut self) -> Result<(), StoreError> {
        for (outage, list) in self.lists.drain() {
            if list.new > 0 {
                self.conn
                    .prepare_cached("UPDATE outage SET clients = clients + ?2 WHERE id = ?1")?
                    .execute((outage, number(list.new)))?;
            }
        }
        Ok(())
    }
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
