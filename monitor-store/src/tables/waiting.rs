//! The waiting lists that one batch of changes adds to.
//!
//! In: failed attempts, by the hundred thousand per second in an outage that many see. Out: the same in the tables, of each
//! client once, many in one statement.

use std::collections::{HashMap, hash_map::Entry};

use monitor_core::{
    domain::{ClientAddr, OutageId, UnixMs},
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
}

impl Attempts {
    pub(super) fn new(at: UnixMs, count: u32, why: Failure) -> Self {
        Self { first: at, latest: at, count: count.into(), why }
    }

    /// The latest telling evidence stays.
    fn add(&mut self, later: Self) {
        self.latest = self.latest.max(later.latest);
        self.count += later.count;
        if !self.why.tells_more_than(later.why) {
            self.why = later.why;
        }
    }
}

/// Attempts are gathered, and clients counted here, as long as the batch lasts.
pub(super) struct WaitingLists<'a> {
    conn: &'a Connection,
    lists: HashMap<OutageId, List>,
    attempts: Vec<((OutageId, ClientAddr), Attempts)>,
}

#[derive(Clone, Copy, Default)]
struct List {
    is_open: bool,
    /// Clients that are not yet counted in the outage's row.
    new: u64,
}

impl<'a> WaitingLists<'a> {
    pub(super) fn new(conn: &'a Connection) -> Self {
        Self { conn, lists: HashMap::new(), attempts: Vec::new() }
    }

    /// To be written.
    pub(super) fn wait(&mut self, outage: OutageId, client: ClientAddr, attempts: Attempts) -> Result<(), StoreError> {
        let list = match self.lists.entry(outage) {
            Entry::Occupied(list) => list.into_mut(),
            Entry::Vacant(place) => {
                place.insert(List { is_open: closing::open_since(self.conn, outage)?.is_some(), new: 0 })
            }
        };
        if list.is_open {
            self.attempts.push(((outage, client), attempts));
        } else {
            tracing::warn!(%outage, "attempt_for_ended_outage");
        }
        Ok(())
    }

    /// F-7: each client once. What comes next may change the same lines.
    pub(super) fn write(&mut self) -> Result<(), StoreError> {
        const WAITING: &str = "waiting (outage, client, first, latest, attempts, evidence)";
        // In order, of each client too; neighbours in the table go in one after the other.
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
                (outage, client, attempts.first, attempts.latest, attempts.count, attempts.why)
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
                     latest = CASE WHEN waiting.latest < excluded.latest THEN excluded.latest ELSE waiting.latest END,
                     evidence = CASE WHEN excluded.evidence = '{asked}'
                             OR (excluded.evidence = '{known}' AND waiting.evidence <> '{asked}')
                         THEN waiting.evidence ELSE excluded.evidence END,
                     connected = NULL",
                asked = Failure::Asked.word(),
                known = Failure::KnownFailed.word(),
            ),
        )?;
        Ok(())
    }

    /// The outage's row may be new.
    pub(super) fn look_again(&mut self, outage: OutageId) {
        if self.lists.get(&outage).is_some_and(|list| !list.is_open) {
            self.lists.remove(&outage);
        }
    }

    /// Writes the counts. What comes next in the batch may end outages.
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
