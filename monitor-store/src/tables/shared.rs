//! The changes of one gateway of several, put into the words of all: its outages by their common rows.
//!
//! In: a batch that the gateway has committed in its own file. Out: the same batch on the shared rows, once, and letters to
//! whoever waited at a gateway that was late to say so. One gateway's batch at a time, in the order of a row's lock.

use std::{collections::HashMap, time::Duration};

use monitor_core::{
    domain::{OutageId, UnixMs},
    outage::{Change, Closing, Outage, Phase},
};

use super::{
    changes,
    closing::{self, Late},
    columns::{count, number},
    outages,
};
use crate::{
    Applied, Gateway, Spooled, StoreError, Telling,
    sql::{Connection, OptionalExtension as _},
    writer::Session,
};

/// A gateway that was not heard of for so long does not count: it may never come back.
const GONE: Duration = Duration::from_secs(600);

/// Applies the batch unless it was applied before.
pub(crate) fn share(
    session: &mut Session<'_>,
    gateway: &Gateway,
    spooled: &Spooled,
    now: UnixMs,
    telling: &Telling,
) -> Result<Applied, StoreError> {
    let conn = session.conn;
    take_turn(conn)?;
    let applied: Option<i64> = conn
        .prepare_cached("SELECT applied FROM gateway WHERE name = ?1")?
        .query_row([&gateway.name], |row| row.get(0))
        .optional()?;
    if applied.is_some_and(|applied| applied >= spooled.number) {
        return Ok(Applied::default());
    }
    conn.prepare_cached(
        "INSERT INTO gateway (name, host, applied, seen) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET host = excluded.host, applied = excluded.applied, seen = excluded.seen",
    )?
    .execute((&gateway.name, &gateway.host, spooled.number, now))?;
    let mut translator = Translator::new(conn, &gateway.name, now);
    for change in &spooled.changes {
        translator.take(change)?;
    }
    let Translator { changes, late, .. } = translator;
    let mut applied = changes::apply(session, &changes, telling)?;
    applied.letters += closing::tell_late(session, &late, telling)?;
    Ok(applied)
}

/// Held until the commit: ids are given out, outages are found or made, waited for and closed by one gateway at a time.
pub(crate) fn take_turn(conn: &Connection) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE shared SET turn = turn + 1")?.execute(())?;
    Ok(())
}

/// A common outage as one gateway knows it.
#[derive(Clone, Copy)]
struct Alias {
    outage: OutageId,
    /// Of its failures, those that this gateway has counted.
    failures: u64,
}

struct Translator<'a> {
    conn: &'a Connection,
    gateway: &'a str,
    now: UnixMs,
    /// What the batch itself says of common outages, in place of what the tables say.
    rows: HashMap<OutageId, Outage>,
    /// When, and whether by a recovery, an outage has ended.
    ended: HashMap<OutageId, Option<(UnixMs, bool)>>,
    /// The batch's latest word on each of the gateway's own outages.
    latest: HashMap<OutageId, Outage>,
    changes: Vec<Change>,
    late: Vec<Late>,
}

impl<'a> Translator<'a> {
    fn new(conn: &'a Connection, gateway: &'a str, now: UnixMs) -> Self {
        Self {
            conn,
            gateway,
            now,
            rows: HashMap::new(),
            ended: HashMap::new(),
            latest: HashMap::new(),
            changes: Vec::new(),
            late: Vec::new(),
        }
    }

    fn take(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Put(outage) => self.put(outage)?,
            Change::Wait { outage, client, at, attempts, evidence } => {
                let Some(alias) = self.alias(*outage)? else { return Ok(()) };
                let Some((ended, recovered)) = self.ended(alias.outage)? else {
                    self.changes.push(Change::Wait {
                        outage: alias.outage,
                        client: *client,
                        at: *at,
                        attempts: *attempts,
                        evidence: *evidence,
                    });
                    return Ok(());
                };
                if *at <= ended {
                    // Another gateway has closed it before this one could say who waits here.
                    if recovered {
                        self.late.push(Late {
                            outage: alias.outage,
                            client: *client,
                            at: *at,
                            attempts: *attempts,
                            evidence: *evidence,
                        });
                    }
                } else if evidence.is_finding()
                    && let Some(word) = self.latest.get(outage).copied()
                {
                    // It fails here after it was over.
                    let new = self.open(&Outage { since: *at, latest: *at, evidence: *evidence, ..word })?;
                    self.name(word.id, new, word.failures)?;
                    self.changes.push(Change::Wait {
                        outage: new,
                        client: *client,
                        at: *at,
                        attempts: *attempts,
                        evidence: *evidence,
                    });
                }
            }
            Change::Withdraw { outage, client, attempts } => {
                if let Some(outage) = self.open_alias(*outage)? {
                    self.changes.push(Change::Withdraw { outage, client: *client, attempts: *attempts });
                }
            }
            Change::Connected { outage, client, at } => {
                if let Some(outage) = self.open_alias(*outage)? {
                    self.changes.push(Change::Connected { outage, client: *client, at: *at });
                }
            }
            Change::Close(closing) => self.close(closing)?,
            Change::Discard { outage, at } => {
                if let Some(common) = self.open_alias(*outage)?
                    && !self.others_have(common)?
                {
                    self.changes.push(Change::Discard { outage: common, at: *at });
                    self.ended.insert(common, Some((*at, false)));
                }
                self.forget(*outage)?;
            }
            Change::Purge { older_than } => self.changes.push(Change::Purge { older_than: *older_than }),
        }
        Ok(())
    }

    fn put(&mut self, word: &Outage) -> Result<(), StoreError> {
        self.latest.insert(word.id, *word);
        let alias = match self.alias(word.id)? {
            Some(alias) => alias,
            None => {
                let outage = self.open(word)?;
                self.name(word.id, outage, 0)?;
                Alias { outage, failures: 0 }
            }
        };
        if self.ended(alias.outage)?.is_some() {
            return Ok(());
        }
        let Some(mut row) = self.row(alias.outage)? else { return Ok(()) };
        row.since = row.since.min(word.since);
        row.latest = row.latest.max(word.latest);
        row.level = row.level.max(word.level);
        row.failures += word.failures.saturating_sub(alias.failures);
        // One gateway's doubt is not a word against what another one knows.
        if word.phase != Phase::Suspected {
            row.phase = word.phase;
        }
        self.rows.insert(row.id, row);
        self.changes.push(Change::Put(row));
        self.name(word.id, row.id, word.failures)
    }

    fn close(&mut self, closing: &Closing) -> Result<(), StoreError> {
        let mut outages = Vec::new();
        for own in &closing.outages {
            if let Some(common) = self.open_alias(*own)? {
                outages.push(common);
                self.ended.insert(common, Some((closing.recovered, true)));
            }
            self.forget(*own)?;
        }
        outages.sort_unstable();
        if !outages.is_empty() {
            self.changes.push(Change::Close(Closing { outages, ..closing.clone() }));
        }
        Ok(())
    }

    /// The open outage of this service, or a new one.
    fn open(&mut self, word: &Outage) -> Result<OutageId, StoreError> {
        let service = word.service;
        if let Some(row) = self.rows.values().find(|row| row.service == service)
            && self.ended.get(&row.id).is_none_or(Option::is_none)
        {
            return Ok(row.id);
        }
        let there = outages::open_of(self.conn, service)?;
        if let Some(there) = there.filter(|there| self.ended.get(there).is_none_or(Option::is_none)) {
            return Ok(there);
        }
        let next: i64 = self.conn.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM outage", (), |row| row.get(0))?;
        let id = self.rows.keys().map(|id| id.0 + 1).fold(next, i64::max);
        let row = Outage { id: OutageId(id), failures: 0, ..*word };
        self.rows.insert(row.id, row);
        self.ended.insert(row.id, None);
        self.changes.push(Change::Put(row));
        Ok(row.id)
    }

    /// Its row as the batch leaves it.
    fn row(&self, outage: OutageId) -> Result<Option<Outage>, StoreError> {
        match self.rows.get(&outage) {
            Some(row) => Ok(Some(*row)),
            None => Ok(self
                .conn
                .prepare_cached("SELECT * FROM outage WHERE id = ?1")?
                .query_row([outage], outages::outage)
                .optional()?),
        }
    }

    /// When it ended, and whether people were told.
    fn ended(&mut self, outage: OutageId) -> Result<Option<(UnixMs, bool)>, StoreError> {
        if let Some(ended) = self.ended.get(&outage) {
            return Ok(*ended);
        }
        let ended = self
            .conn
            .prepare_cached("SELECT ended, recovery FROM outage WHERE id = ?1")?
            .query_row([outage], |row| {
                let ended: Option<UnixMs> = row.get(0)?;
                Ok(ended.zip(Some(row.get::<_, Option<String>>(1)?.is_some())))
            })
            .optional()?;
        // It is so long over that its row is gone.
        let ended = ended.unwrap_or(Some((UnixMs(i64::MAX), false)));
        self.ended.insert(outage, ended);
        Ok(ended)
    }

    fn alias(&self, own: OutageId) -> Result<Option<Alias>, StoreError> {
        Ok(self
            .conn
            .prepare_cached("SELECT outage, failures FROM outage_alias WHERE gateway = ?1 AND local = ?2")?
            .query_row((self.gateway, own), |row| Ok(Alias { outage: row.get(0)?, failures: count(row, "failures")? }))
            .optional()?)
    }

    /// The common outage, if it is open.
    fn open_alias(&mut self, own: OutageId) -> Result<Option<OutageId>, StoreError> {
        let Some(alias) = self.alias(own)? else { return Ok(None) };
        Ok(self.ended(alias.outage)?.is_none().then_some(alias.outage))
    }

    fn name(&self, own: OutageId, common: OutageId, failures: u64) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "INSERT INTO outage_alias (gateway, local, outage, failures) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (gateway, local) DO UPDATE SET outage = excluded.outage, failures = excluded.failures",
            )?
            .execute((self.gateway, own, common, number(failures)))?;
        Ok(())
    }

    fn forget(&self, own: OutageId) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("DELETE FROM outage_alias WHERE gateway = ?1 AND local = ?2")?
            .execute((self.gateway, own))?;
        Ok(())
    }

    /// Whether another gateway that is there still has it open.
    fn others_have(&self, common: OutageId) -> Result<bool, StoreError> {
        Ok(self
            .conn
            .prepare_cached(
                "SELECT 1 FROM outage_alias a JOIN gateway g ON g.name = a.gateway
                 WHERE a.outage = ?1 AND a.gateway <> ?2 AND g.seen >= ?3",
            )?
            .exists((common, self.gateway, self.now.before(GONE)))?)
    }
}
