//! The waiting lists that one batch of changes adds to.
//!
//! In: failed attempts, up to several hundred thousand per second. Out: one row per client, many rows in one statement.

use std::collections::{HashMap, hash_map::Entry};

use monitor_core::{
    domain::{AttemptMask, ClientAddr, OutageId, UnixMs},
    outage::Failure,
};

use super::{super::StoreError, closing, columns::number};
use crate::sql::Connection;

/// Failed attempts of one client that are noted together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Attempts {
    first: UnixMs,
    latest: UnixMs,
    count: i64,
    why: Failure,
    /// Until when the client may still get through by repeating a SYN.
    trying_until: UnixMs,
    /// Whether it is told whatever else it tries: an attempt is over and failed, or it has asked.
    certain: bool,
    /// Whether it has asked to be told.
    asked: bool,
    /// Which attempts are counted.
    counted: AttemptMask,
}

impl Attempts {
    pub(super) fn new(at: UnixMs, trying_until: UnixMs, (count, mask): (u32, AttemptMask), why: Failure) -> Self {
        let asked = why == Failure::Asked;
        let certain = asked || count > 0 && why.is_final();
        let counted = if count > 0 { mask } else { AttemptMask::NONE };
        Self { first: at, latest: at, count: count.into(), why, trying_until, certain, asked, counted }
    }

    /// The evidence `known-failed` (F-4) and having asked say nothing about the cause: neither replaces another one.
    fn add(&mut self, later: Self) {
        self.certain |= later.certain;
        self.first = self.first.min(later.first);
        self.latest = self.latest.max(later.latest);
        self.count += later.count;
        self.trying_until = self.trying_until.max(later.trying_until);
        self.asked |= later.asked;
        self.counted = self.counted.and(later.counted);
        if !self.why.tells_more_than(later.why) {
            self.why = later.why;
        }
    }
}

/// Gathers attempts and counts clients as long as the batch lasts.
pub(super) struct WaitingLists<'a> {
    conn: &'a Connection,
    lists: HashMap<OutageId, List>,
    attempts: Vec<((OutageId, ClientAddr), Attempts)>,
}

#[derive(Clone, Copy, Default)]
struct List {
    /// Its outage is not over, or has ended a short while ago.
    is_open: bool,
    /// Clients that are not yet counted in the outage's row.
    new: u64,
}

impl<'a> WaitingLists<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn, lists: HashMap::new(), attempts: Vec::new() }
    }

    /// Notes attempts that are to be written.
    pub(super) fn wait(&mut self, outage: OutageId, client: ClientAddr, attempts: Attempts) -> Result<(), StoreError> {
        let list = match self.lists.entry(outage) {
            Entry::Occupied(list) => list.into_mut(),
            Entry::Vacant(place) => place.insert(List { is_open: closing::has_list(self.conn, outage)?, new: 0 }),
        };
        if list.is_open {
            self.attempts.push(((outage, client), attempts));
        } else {
            // Its row was closed by another gateway, or it comes again after a crash.
            tracing::debug!(%outage, "an attempt of an outage that is over");
        }
        Ok(())
    }

    /// Writes the attempts, each client once (F-7), before a change that may concern the same rows.
    pub(super) fn write(&mut self) -> Result<(), StoreError> {
        const WAITING: &str =
            "waiting (outage, client, first, latest, attempts, evidence, trying_until, certain, asked, counted)";
        // Neighbours in the table go in one after the other. The sort is stable, so each client's attempts stay in
        // order.
        self.attempts.sort_by_key(|(key, _)| *key);
        self.attempts.dedup_by(|(later_key, later), (key, earlier)| {
            let same = later_key == key;
            if same {
                earlier.add(*later);
            }
            same
        });
        let rows: Vec<_> = self
            .attempts
            .drain(..)
            .map(|((outage, client), attempts)| {
                let Attempts { first, latest, count, why, trying_until, certain, asked, counted } = attempts;
                let (certain, asked) = (i64::from(certain), i64::from(asked));
                (outage, client, first, latest, count, why, trying_until, certain, asked, counted.bits())
            })
            .collect();
        let new = self.conn.insert_new(
            WAITING,
            &rows,
            "outage, client",
            |(outage, client, ..)| (*outage, *client),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let mut again = Vec::new();
        for (row, new) in rows.into_iter().zip(new) {
            if !new {
                again.push(row);
            } else if let Some(list) = self.lists.get_mut(&row.0) {
                list.new += 1;
            }
        }
        self.conn.insert(
            WAITING,
            &again,
            &format!(
                "ON CONFLICT (outage, client) DO UPDATE SET attempts = waiting.attempts + excluded.attempts,
                     first = CASE WHEN excluded.first < waiting.first THEN excluded.first ELSE waiting.first END,
                     latest = CASE WHEN waiting.latest < excluded.latest THEN excluded.latest ELSE waiting.latest END,
                     certain = CASE WHEN excluded.certain = 1 THEN 1 ELSE waiting.certain END,
                     trying_until = CASE WHEN waiting.trying_until < excluded.trying_until
                         THEN excluded.trying_until ELSE waiting.trying_until END,
                     asked = CASE WHEN excluded.asked = 1 THEN 1 ELSE waiting.asked END,
                     counted = waiting.counted | excluded.counted,
                     evidence = CASE WHEN excluded.evidence = '{asked}'
                             OR (excluded.evidence = '{known}' AND waiting.evidence <> '{asked}')
                         THEN waiting.evidence ELSE excluded.evidence END,
                     connected = CASE WHEN excluded.latest > waiting.connected OR excluded.evidence = '{gave_up}'
                         THEN NULL ELSE waiting.connected END",
                asked = Failure::Asked.word(),
                known = Failure::KnownFailed.word(),
                gave_up = Failure::GaveUp.word(),
            ),
        )?;
        Ok(())
    }

    /// Forgets that an outage is not open: its row may have been made just now.
    pub(super) fn look_again(&mut self, outage: OutageId) {
        if self.lists.get(&outage).is_some_and(|list| !list.is_open) {
            self.lists.remove(&outage);
        }
    }

    /// Writes attempts and counts, before a change that may end outages.
    pub(super) fn count(&mut self) -> Result<(), StoreError> {
        self.write()?;
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
