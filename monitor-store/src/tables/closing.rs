//! The recovery (design rule 6): outages end, waiting lists become letters and are emptied, all in one transaction.
//!
//! Waiting clients are read a page at a time and looked up in the address book (F-15). Besides the page, memory holds
//! one entry per recipient, which is at most as much as the book itself.

use std::{collections::BTreeMap, time::Duration};

use monitor_core::{
    domain::{ClientAddr, OutageId, UnixMs},
    mail::AddressBook,
    outage::{Closing, Failure},
    relay::List,
};

use super::{
    super::{Applied, NotificationPolicy, StoreError},
    columns::number,
    letters::{Letters, Over},
    lists::{self, Lists},
    notices,
    session::Session,
};
use crate::sql::{Connection, Error, OptionalExtension as _, Row};

/// Waiting clients in memory at a time.
const PAGE: usize = 4096;

/// Closes those of the outages that have not ended yet. If a recovery is applied twice, the second time finds none.
pub(super) fn close(
    session: &mut Session<'_>,
    closing: &Closing,
    telling: &NotificationPolicy,
) -> Result<Applied, StoreError> {
    let conn = session.conn;
    let empty = AddressBook::default();
    let book = if telling.silent { &empty } else { session.book.load(conn)? };
    let mut letters = Letters::new(conn, closing.recovered, closing.recovered + telling.lifetime);
    let (mut untold, mut sent) = (0, 0);
    for &outage in &closing.outages {
        let Some(since) = open_since(conn, outage)? else { continue };
        let over = Over { outage, since };
        let mut services = 0;
        let mut lists = match lists::relay_of(conn, outage, &telling.relays)? {
            Some(relay) => Some(Lists::new(conn, relay, outage, closing, telling)?),
            None => None,
        };
        pages(conn, outage, |page| {
            for waiting in &page {
                let told =
                    waiting.latest >= closing.tell_since && !(closing.skip_connected && waiting.connected.is_some());
                if let Some(lists) = lists.as_mut().filter(|_| told) {
                    lists.add(waiting)?;
                    continue;
                }
                // A client without an address on record gets nothing (F-19).
                match book.lookup(waiting.client).filter(|_| told) {
                    Some(recipient) => services += letters.tell(over, waiting, recipient),
                    None => untold += 1,
                }
            }
            letters.write()
        })?;
        let lists = lists.map_or(Ok(0), Lists::finish)?;
        sent += lists;
        notices::ended(conn, outage, "ended", closing.recovered, telling)?;
        conn.prepare_cached("DELETE FROM waiting WHERE outage = ?1")?.execute([outage])?;
        conn.prepare_cached("UPDATE outage SET ended = ?2, recovery = ?3, letters = ?4 WHERE id = ?1")?.execute((
            outage,
            closing.recovered,
            closing.evidence,
            number(services + lists),
        ))?;
    }
    Ok(Applied { letters: letters.finish()? + sent, untold })
}

/// Writes letters to the clients of a list that no relay has taken; says how many.
pub(super) fn tell_listed(session: &mut Session<'_>, list: &List, lifetime: Duration) -> Result<u64, StoreError> {
    let conn = session.conn;
    let book = session.book.load(conn)?;
    // The list has used up some of the time; a letter's lifetime begins now.
    let mut letters = Letters::new(conn, list.recovered, crate::clock::now() + lifetime);
    let over = Over { outage: list.outage, since: list.since };
    for listed in &list.clients {
        let waiting = Waiting {
            client: listed.client,
            first: listed.first,
            latest: listed.latest,
            attempts: number(listed.attempts),
            evidence: listed.evidence,
            connected: None,
        };
        if let Some(recipient) = book.lookup(listed.client) {
            letters.tell(over, &waiting, recipient);
        }
    }
    let written = letters.finish()?;
    conn.prepare_cached("UPDATE outage SET letters = letters + ?2 WHERE id = ?1")?
        .execute((list.outage, number(written)))?;
    Ok(written)
}

/// A client that waited at one gateway, which reported it after another gateway had closed the outage.
pub(super) struct Late {
    pub(super) outage: OutageId,
    pub(super) client: ClientAddr,
    pub(super) at: UnixMs,
    pub(super) attempts: u32,
    pub(super) evidence: Failure,
}

/// Writes letters to those of them that got none about this recovery; says how many.
pub(super) fn tell_late(
    session: &mut Session<'_>,
    late: &[Late],
    telling: &NotificationPolicy,
) -> Result<u64, StoreError> {
    let conn = session.conn;
    let mut by_outage: BTreeMap<OutageId, Vec<&Late>> = BTreeMap::new();
    for late in late {
        by_outage.entry(late.outage).or_default().push(late);
    }
    let mut all = 0;
    for (outage, late) in by_outage {
        let book = session.book.load(conn)?;
        let (since, recovered): (UnixMs, UnixMs) = conn
            .prepare_cached("SELECT since, ended FROM outage WHERE id = ?1")?
            .query_row([outage], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let over = Over { outage, since };
        let mut letters = Letters::new(conn, recovered, recovered + telling.lifetime);
        for Late { client, at, attempts, evidence, .. } in late {
            let Some(recipient) = book.lookup(*client) else { continue };
            let told = conn
                .prepare_cached(
                    "SELECT 1 FROM letter l JOIN letter_service s ON s.letter = l.id
                     WHERE s.outage = ?1 AND (lower(l.recipient) = lower(?2) OR s.client = ?3)",
                )?
                .exists((outage, &recipient.mail, *client))?;
            let declined = conn
                .prepare_cached("SELECT 1 FROM declined WHERE outage = ?1 AND client = ?2")?
                .exists((outage, *client))?;
            if !told && !declined {
                let attempts = i64::from(*attempts);
                let waiting = Waiting {
                    client: *client,
                    first: *at,
                    latest: *at,
                    attempts,
                    evidence: *evidence,
                    connected: None,
                };
                letters.tell(over, &waiting, recipient);
            }
        }
        let written = letters.finish()?;
        conn.prepare_cached("UPDATE outage SET letters = letters + ?2 WHERE id = ?1")?
            .execute((outage, number(written)))?;
        all += written;
    }
    Ok(all)
}

/// When the outage began; `None` if it is over, or unknown.
pub(super) fn open_since(conn: &Connection, outage: OutageId) -> Result<Option<UnixMs>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT since FROM outage WHERE id = ?1 AND ended IS NULL")?
        .query_row([outage], |row| row.get(0))
        .optional()?)
}

pub(super) struct Waiting {
    pub(super) client: ClientAddr,
    pub(super) first: UnixMs,
    pub(super) latest: UnixMs,
    pub(super) attempts: i64,
    pub(super) evidence: Failure,
    connected: Option<UnixMs>,
}

impl Waiting {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            client: row.get(0)?,
            first: row.get(1)?,
            latest: row.get(2)?,
            attempts: row.get(3)?,
            evidence: row.get(4)?,
            connected: row.get(5)?,
        })
    }
}

/// Reads the waiting clients that want to be told of the end, by address.
fn pages(
    conn: &Connection,
    outage: OutageId,
    take: impl FnMut(Vec<Waiting>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    conn.query_pages(
        "waiting_clients",
        "SELECT client, first, latest, attempts, evidence, connected FROM waiting WHERE outage = ?1 AND NOT EXISTS
             (SELECT 1 FROM declined WHERE declined.outage = waiting.outage AND declined.client = waiting.client)
         ORDER BY client",
        [outage],
        PAGE,
        Waiting::from_row,
        take,
    )
}
