//! Translates one gateway's changes: its own numbers of outages become the rows that all gateways share.
//!
//! In: a batch that the gateway has committed to its own file. Out: the same batch on the shared rows, applied once,
//! and letters to clients that waited at a gateway that reported them late. A row's lock lets one batch in at a time.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use monitor_core::{
    domain::{OutageId, UnixMs},
    outage::{Change, Closing, Outage, Phase},
};

use super::{
    changes,
    closing::{self, Late},
    columns::{count, number},
    outages,
    session::Session,
};
use crate::{
    Applied, Gateway, NotificationPolicy, Spooled, StoreError,
    sql::{Connection, OptionalExtension as _},
};

/// A gateway that has not been seen for this long does not count: it may never come back.
const GONE: Duration = Duration::from_secs(600);

/// Applies the batch unless it was applied before.
pub(crate) fn share(
    session: &mut Session<'_>,
    gateway: &Gateway,
    spooled: &Spooled,
    now: UnixMs,
    telling: &NotificationPolicy,
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

/// Locks a row until the commit, so that one gateway at a time gives out ids and makes, fills and closes outages.
pub(crate) fn take_turn(conn: &Connection) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE shared SET turn = turn + 1")?.execute(())?;
    Ok(())
}

/// A common outage as one gateway knows it.
#[derive(Clone, Copy)]
struct Alias {
    outage: OutageId,
    /// How many of its failures this gateway has counted.
    failures: u64,
}

struct Translator<'a> {
    conn: &'a Connection,
    gateway: &'a str,
    now: UnixMs,
    /// Shared outages as the batch changes them, which the tables do not have yet.
    rows: HashMap<OutageId, Outage>,
    /// When an outage ended, and whether by a recovery.
    ended: HashMap<OutageId, Option<(UnixMs, bool)>>,
    /// Of these, the batch itself has closed.
    closed: HashSet<OutageId>,
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
            closed: HashSet::new(),
            latest: HashMap::new(),
            changes: Vec::new(),
            late: Vec::new(),
        }
    }

    fn take(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Put(outage) => self.put(outage)?,
            Change::Wait { outage, client, at, trying_until, attempts, evidence, mask } => {
                let Some(alias) = self.alias(*outage)? else { return Ok(()) };
                let wait = |outage| Change::Wait {
                    outage,
                    client: *client,
                    at: *at,
                    trying_until: *trying_until,
                    attempts: *attempts,
                    evidence: *evidence,
                    mask: *mask,
                };
                let Some((ended, recovered)) = self.ended(alias.outage)? else {
                    self.changes.push(wait(alias.outage));
                    return Ok(());
                };
                if *at <= ended && self.has_list(alias.outage)? {
                    self.changes.push(wait(alias.outage));
                } else if *at <= ended {
                    // Another gateway closed it before this one could report its waiting clients.
                    if recovered && *attempts > 0 {
                        self.late.push(Late {
                            outage: alias.outage,
                            client: *client,
                            at: *at,
                            attempts: *attempts,
                            evidence: *evidence,
                        });
                    }
                } else if evidence.is_finding()
                    && let Some(word) = self.word(*outage, alias.outage)?
                {
                    // The service fails here after the shared outage was over.
                    let new = self.open(&Outage { since: *at, latest: *at, evidence: *evidence, ..word })?;
                    self.name(&Outage { since: *at, ..word }, new, word.failures)?;
                    self.changes.push(wait(new));
                }
            }
            Change::Withdraw { outage, instead, client, attempts, mask } => {
                let lists = std::iter::once(outage).chain(instead).map(|own| self.alias(*own));
                let lists: Vec<_> = lists.collect::<Result<_, _>>()?;
                let mut lists = lists.into_iter().flatten().map(|alias| alias.outage);
                if let Some(outage) = lists.next() {
                    let (instead, client, attempts, mask) = (lists.collect(), *client, *attempts, *mask);
                    self.changes.push(Change::Withdraw { outage, instead, client, attempts, mask });
                }
            }
            Change::Connected { outage, client, at } => {
                if let Some(Alias { outage, .. }) = self.alias(*outage)? {
                    self.changes.push(Change::Connected { outage, client: *client, at: *at });
                }
            }
            Change::Close(closing) => self.close(closing)?,
            Change::Settle { closing, last } => self.settle(closing, *last)?,
            // Whoever has closed it has said so.
            Change::EndedElsewhere { outage, .. } => self.knows_end(*outage)?,
            Change::Discard { outage, at } => {
                self.discard(*outage, *at)?;
            }
            Change::Purge { older_than } => self.changes.push(Change::Purge { older_than: *older_than }),
        }
        Ok(())
    }

    /// A suspicion that was none here.
    fn discard(&mut self, own: OutageId, at: UnixMs) -> Result<(), StoreError> {
        match self.open_alias(own)? {
            Some(common) if !self.others_have(common)? => {
                self.changes.push(Change::Discard { outage: common, at });
                self.ended.insert(common, Some((at, false)));
                self.forget(own)
            }
            // Who gets through here after all is to be taken off the others' list.
            _ => self.knows_end(own),
        }
    }

    fn put(&mut self, word: &Outage) -> Result<(), StoreError> {
        self.latest.insert(word.id, *word);
        let alias = match self.alias(word.id)? {
            Some(alias) => alias,
            None => {
                let outage = self.open(word)?;
                self.name(word, outage, 0)?;
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
        row.trying_until = row.trying_until.max(word.trying_until);
        // If one gateway only suspects what another one knows, the knowledge counts.
        if word.phase != Phase::Suspected {
            row.phase = word.phase;
        }
        self.rows.insert(row.id, row);
        self.changes.push(Change::Put(row));
        self.name(word, row.id, word.failures)
    }

    fn close(&mut self, closing: &Closing) -> Result<(), StoreError> {
        let mut outages = Vec::new();
        for own in &closing.outages {
            if let Some(common) = self.open_alias(*own)? {
                if self.began_after(common, closing.recovered)? {
                    // The service answered here, and then failed another gateway's clients: whoever waits, waits for that
                    // to end. This gateway hears of the outage as of any other.
                    self.knows_end(*own)?;
                    continue;
                }
                outages.push(common);
                self.ended.insert(common, Some((closing.recovered, true)));
                self.closed.insert(common);
            }
            self.knows_end(*own)?;
        }
        outages.sort_unstable();
        if !outages.is_empty() {
            self.changes.push(Change::Close(Closing { outages, ..closing.clone() }));
        }
        Ok(())
    }

    /// The gateway's own number of the outage is needed until its list cannot change any more.
    fn settle(&mut self, closing: &Closing, last: bool) -> Result<(), StoreError> {
        let mut outages = Vec::new();
        for own in &closing.outages {
            if let Some(Alias { outage, .. }) = self.alias(*own)?
                && self.has_list(outage)?
            {
                outages.push(outage);
            }
            if last {
                self.forget(*own)?;
            }
        }
        outages.sort_unstable();
        outages.dedup();
        if !outages.is_empty() {
            // Others may have more to say of it: their own time ends later.
            self.changes.push(Change::Settle { closing: Closing { outages, ..closing.clone() }, last });
        }
        Ok(())
    }

    /// Whether the list of a common outage that is over may still change.
    fn has_list(&self, common: OutageId) -> Result<bool, StoreError> {
        Ok(self.closed.contains(&common) || closing::has_list(self.conn, common)?)
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

    /// What the gateway last said of its own outage; if that was in an earlier batch, what is known of the common one.
    fn word(&self, own: OutageId, common: OutageId) -> Result<Option<Outage>, StoreError> {
        match self.latest.get(&own) {
            Some(word) => Ok(Some(*word)),
            None => Ok(self.row(common)?.map(|row| Outage { id: own, phase: Phase::Open, ..row })),
        }
    }

    /// The shared outage, as the batch has changed it so far.
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
        // Its row was pruned: it ended long ago.
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

    fn name(&self, word: &Outage, common: OutageId, failures: u64) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "INSERT INTO outage_alias (gateway, local, outage, failures, since) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (gateway, local)
                 DO UPDATE SET outage = excluded.outage, failures = excluded.failures, since = excluded.since",
            )?
            .execute((self.gateway, word.id, common, number(failures), word.since))?;
        Ok(())
    }

    fn knows_end(&self, own: OutageId) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("UPDATE outage_alias SET ended = 1 WHERE gateway = ?1 AND local = ?2")?
            .execute((self.gateway, own))?;
        Ok(())
    }

    fn forget(&self, own: OutageId) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("DELETE FROM outage_alias WHERE gateway = ?1 AND local = ?2")?
            .execute((self.gateway, own))?;
        Ok(())
    }

    /// Whether another gateway that was seen lately has it open only since after this time.
    fn began_after(&self, common: OutageId, recovered: UnixMs) -> Result<bool, StoreError> {
        Ok(self
            .conn
            .prepare_cached(
                "SELECT 1 FROM outage_alias a JOIN gateway g ON g.name = a.gateway
                 WHERE a.outage = ?1 AND a.gateway <> ?2 AND a.ended = 0 AND a.since > ?3 AND g.seen >= ?4",
            )?
            .exists((common, self.gateway, recovered, self.now.before(GONE)))?)
    }

    /// Whether another gateway that was seen lately still has it open.
    fn others_have(&self, common: OutageId) -> Result<bool, StoreError> {
        Ok(self
            .conn
            .prepare_cached(
                "SELECT 1 FROM outage_alias a JOIN gateway g ON g.name = a.gateway
                 WHERE a.outage = ?1 AND a.gateway <> ?2 AND a.ended = 0 AND g.seen >= ?3",
            )?
            .exists((common, self.gateway, self.now.before(GONE)))?)
    }
}
