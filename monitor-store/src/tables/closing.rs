//! The recovery (design rule 6): outages end, waiting lists become letters and are emptied, all in one transaction.
//!
//! Who may still get through by a repeated SYN stays on the list, with everything else that the same person waits for, and
//! is told or dropped later ([`settle`]).
//!
//! Waiting clients are read a page at a time and looked up in the address book (F-15). Besides the page, memory holds
//! one entry per recipient, which is at most as much as the book itself.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use monitor_core::{
    domain::{ClientAddr, MonotonicNs, OutageId, UnixMs},
    mail::{AddressBook, AddressEntry},
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

/// Whether a client has failed for certain, or cannot get through any more, by what is known up to `?2`.
const IS_DUE: &str = "(certain = 1 OR trying_until <= ?2)";

/// Closes those of the outages that have not ended yet. If a recovery is applied twice, the second time finds none.
pub(super) fn close(
    session: &mut Session<'_>,
    closing: &Closing,
    telling: &NotificationPolicy,
) -> Result<Applied, StoreError> {
    let conn = session.conn;
    let empty = AddressBook::default();
    let mut open = Vec::new();
    for &outage in &closing.outages {
        open.extend(open_since(conn, outage)?.map(|since| Over { outage, since }));
    }
    let mut told = Telling::new(session, &empty, closing, telling, closing.known)?;
    told.hold(&open)?;
    for over in open {
        let outage = over.outage;
        let letters = told.tell(over, false)?;
        notices::ended(conn, outage, "ended", closing.recovered, telling)?;
        conn.prepare_cached(
            "UPDATE outage SET ended = ?2, recovery = ?3, letters = ?4, until_ns = ?5, settling_list = 1 WHERE id = ?1",
        )?
        .execute((outage, closing.recovered, closing.evidence, number(letters), number(closing.until.0)))?;
    }
    told.finish()
}

/// Tells those on the lists of outages that are over who cannot get through any more; with `last`, whoever is left.
pub(super) fn settle(
    session: &mut Session<'_>,
    closing: &Closing,
    last: bool,
    telling: &NotificationPolicy,
) -> Result<Applied, StoreError> {
    let conn = session.conn;
    let known = if last { UnixMs(i64::MAX) } else { closing.known };
    let empty = AddressBook::default();
    let mut ended = Vec::new();
    for &outage in &closing.outages {
        let row: Option<(UnixMs, i64)> = conn
            .prepare_cached("SELECT since, letters FROM outage WHERE id = ?1 AND settling_list = 1")?
            .query_row([outage], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        ended.extend(row.map(|(since, letters)| (Over { outage, since }, letters > 0)));
    }
    let mut told = Telling::new(session, &empty, closing, telling, known)?;
    told.hold(&ended.iter().map(|(over, _)| *over).collect::<Vec<_>>())?;
    for (over, again) in ended {
        let outage = over.outage;
        let letters = told.tell(over, again)?;
        let settling = i64::from(!last);
        conn.prepare_cached("UPDATE outage SET letters = letters + ?2, settling_list = ?3 WHERE id = ?1")?
            .execute((outage, number(letters), settling))?;
    }
    told.finish()
}

/// Another gateway has closed it, and tells.
pub(super) fn ended_elsewhere(
    conn: &Connection,
    outage: OutageId,
    at: UnixMs,
    until: MonotonicNs,
) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE outage SET ended = ?2, until_ns = ?3, settling_list = 1 WHERE id = ?1 AND ended IS NULL",
        (outage, at, number(until.0)),
    )?;
    conn.execute("DELETE FROM waiting WHERE outage = ?1", [outage])?;
    Ok(())
}

/// What is told in one transaction about outages that are over.
struct Telling<'a> {
    conn: &'a Connection,
    closing: &'a Closing,
    policy: &'a NotificationPolicy,
    book: &'a AddressBook,
    letters: Letters<'a>,
    /// Rows of clients that may get through later than this stay.
    known: UnixMs,
    /// Who is told later, by mail address in lower case, and when.
    held: HashMap<String, UnixMs>,
    untold: u64,
    lists: u64,
}

impl<'a> Telling<'a> {
    fn new(
        session: &'a mut Session<'_>,
        empty: &'a AddressBook,
        closing: &'a Closing,
        policy: &'a NotificationPolicy,
        known: UnixMs,
    ) -> Result<Self, StoreError> {
        let conn = session.conn;
        let book = if policy.silent { empty } else { session.book.load(conn)? };
        let letters = Letters::new(conn, closing.recovered, closing.recovered + policy.lifetime);
        Ok(Self { conn, closing, policy, book, letters, known, held: HashMap::new(), untold: 0, lists: 0 })
    }

    /// Whoever may still get through in one of these outages is told later of all of them.
    fn hold(&mut self, outages: &[Over]) -> Result<(), StoreError> {
        for over in outages {
            for (client, until) in may_get_through(self.conn, over.outage, self.known)? {
                if let Some(person) = self.book.lookup(client) {
                    let latest = self.held.entry(person.mail.to_lowercase()).or_insert(until);
                    *latest = until.max(*latest);
                }
            }
        }
        Ok(())
    }

    /// Tells those on the outage's list whose time has come, and takes them off it; says in how many letters and lists.
    /// `again`: some were told before.
    fn tell(&mut self, over: Over, again: bool) -> Result<u64, StoreError> {
        let Over { outage, .. } = over;
        let conn = self.conn;
        let mut lists = match lists::relay_of(conn, outage, &self.policy.relays)? {
            Some(relay) => Some(Lists::new(conn, relay, outage, self.closing, self.policy)?),
            None => None,
        };
        let (mut services, mut later) = (0, Vec::new());
        pages(conn, outage, self.known, |page| {
            for waiting in &page {
                let person = self.book.lookup(waiting.client);
                let held = person.filter(|_| !self.held.is_empty());
                if let Some(until) = held.and_then(|person| self.held.get(&person.mail.to_lowercase())) {
                    later.push((outage, waiting.client, *until));
                    continue;
                }
                let is_told = waiting.failed && self.is_due(waiting);
                if let Some(lists) = lists.as_mut().filter(|_| is_told) {
                    lists.add(waiting)?;
                    continue;
                }
                // A client without an address on record gets nothing (F-19).
                let person = person.filter(|_| is_told);
                match person {
                    Some(person) if !again || !was_told(conn, outage, person, waiting.client)? => {
                        services += self.letters.tell(over, waiting, person);
                    }
                    Some(_) => {}
                    None => self.untold += u64::from(waiting.failed),
                }
            }
            self.letters.write()
        })?;
        let lists = lists.map_or(Ok(0), Lists::finish)?;
        self.lists += lists;
        conn.prepare_cached("UPDATE waiting SET trying_until = ?3, certain = 0 WHERE outage = ?1 AND client = ?2")?
            .execute_each(&later)?;
        conn.prepare_cached(&format!("DELETE FROM waiting WHERE outage = ?1 AND {IS_DUE}"))?
            .execute((outage, self.known))?;
        Ok(services + lists)
    }

    fn is_due(&self, waiting: &Waiting) -> bool {
        let Closing { tell_since, skip_connected, .. } = self.closing;
        waiting.latest >= *tell_since && !(*skip_connected && waiting.connected.is_some())
    }

    fn finish(self) -> Result<Applied, StoreError> {
        Ok(Applied { letters: self.letters.finish()? + self.lists, untold: self.untold })
    }
}

/// Clients on the list that may still get through, and until when.
fn may_get_through(
    conn: &Connection,
    outage: OutageId,
    known: UnixMs,
) -> Result<Vec<(ClientAddr, UnixMs)>, StoreError> {
    let latest: Option<UnixMs> = conn
        .prepare_cached("SELECT trying_until FROM outage WHERE id = ?1")?
        .query_row([outage], |row| row.get(0))
        .optional()?;
    if known == UnixMs(i64::MAX) || latest.is_none_or(|latest| latest <= known) {
        return Ok(Vec::new());
    }
    Ok(conn
        .prepare_cached(&format!("SELECT client, trying_until FROM waiting WHERE outage = ?1 AND NOT {IS_DUE}"))?
        .query_map((outage, known), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?)
}

/// Whether the person, or the client, has a letter about this recovery.
fn was_told(
    conn: &Connection,
    outage: OutageId,
    person: &AddressEntry,
    client: ClientAddr,
) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT 1 FROM letter l JOIN letter_service s ON s.letter = l.id
             WHERE s.outage = ?1 AND (lower(l.recipient) = lower(?2) OR s.client = ?3)",
        )?
        .exists((outage, &person.mail, client))?)
}

/// Whether the outage has a list: it is not over, or its list may still change.
pub(super) fn has_list(conn: &Connection, outage: OutageId) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("SELECT 1 FROM outage WHERE id = ?1 AND (ended IS NULL OR settling_list = 1)")?
        .exists([outage])?)
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
            failed: true,
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
            let told = was_told(conn, outage, recipient, *client)?;
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
                    failed: true,
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
    /// Whether it is told at all: an attempt of its failed, or it asked.
    failed: bool,
}

impl Waiting {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let (attempts, asked): (i64, i64) = (row.get(3)?, row.get(6)?);
        Ok(Self {
            client: row.get(0)?,
            first: row.get(1)?,
            latest: row.get(2)?,
            attempts,
            evidence: row.get(4)?,
            connected: row.get(5)?,
            failed: attempts > 0 || asked != 0,
        })
    }
}

/// Reads the waiting clients that want to be told of the end and cannot get through after `known`, by address.
fn pages(
    conn: &Connection,
    outage: OutageId,
    known: UnixMs,
    take: impl FnMut(Vec<Waiting>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    conn.query_pages(
        "waiting_clients",
        &format!(
            "SELECT client, first, latest, attempts, evidence, connected, asked FROM waiting
             WHERE outage = ?1 AND {IS_DUE} AND NOT EXISTS
                 (SELECT 1 FROM declined WHERE declined.outage = waiting.outage AND declined.client = waiting.client)
             ORDER BY client"
        ),
        (outage, known),
        PAGE,
        Waiting::from_row,
        take,
    )
}
