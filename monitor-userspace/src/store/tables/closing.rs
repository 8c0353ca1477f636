//! The recovery (design rule 6): outages end, waiting lists become letters and are emptied, all in one transaction.
//!
//! Waiting clients are read a page at a time and looked up in the address book (F-15). What is held in memory besides
//! is one entry per recipient, so at most as much as the book itself.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    time::Duration,
};

use crate::store::sql::{Connection, Error, Row};
use crate::store::writer::Session;

use super::{
    super::{Applied, LetterId, StoreError, Telling},
    columns::number,
    lists::{self, Lists},
    notices,
};
use crate::{
    config::Language,
    notify::{AddressBook, AddressEntry},
    outage::{ClientAddr, Closing, Failure, OutageId, UnixMs},
    relay::List,
};

/// Waiting clients in memory at a time.
const PAGE: usize = 4096;

/// Closes those of the outages that have not ended yet; a recovery that is applied twice finds none.
pub(super) fn close(session: &mut Session<'_>, closing: &Closing, telling: &Telling) -> Result<Applied, StoreError> {
    let conn = session.conn;
    let empty = AddressBook::default();
    let book = if telling.silent { &empty } else { session.book.load(conn)? };
    let mut letters = Letters::new(conn, closing, telling.lifetime);
    let (mut untold, mut sent) = (0, 0);
    for &outage in &closing.outages {
        if !is_open(conn, outage)? {
            continue;
        }
        let mut services = 0;
        let mut lists = match lists::relay_of(conn, outage, &telling.relays)? {
            Some(relay) => Some(Lists::new(conn, relay, outage, closing, telling)?),
            None => None,
        };
        let mut after = None;
        loop {
            let page = page(conn, outage, after)?;
            for waiting in &page {
                let told =
                    waiting.latest >= closing.tell_since && !(closing.skip_connected && waiting.connected.is_some());
                if let Some(lists) = lists.as_mut().filter(|_| told) {
                    lists.add(waiting)?;
                    continue;
                }
                // F-19: no address on record, nothing sent.
                match book.lookup(waiting.client).filter(|_| told) {
                    Some(recipient) => services += letters.tell(outage, waiting, recipient),
                    None => untold += 1,
                }
            }
            letters.write()?;
            if page.len() < PAGE {
                break;
            }
            after = page.last().map(|waiting| waiting.client);
        }
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
    let written = letters.by_mail.len() as u64;
    conn.prepare_cached("UPDATE letter_tally SET queued = queued + ?1")?.execute([number(written)])?;
    Ok(Applied { letters: written + sent, untold })
}

/// Letters of our own to the clients of a list that no relay has taken; says how many.
pub(super) fn tell_listed(session: &mut Session<'_>, list: &List, lifetime: Duration) -> Result<u64, StoreError> {
    let conn = session.conn;
    let book = session.book.load(conn)?;
    let closing = Closing {
        outages: vec![list.outage],
        recovered: list.recovered,
        evidence: list.evidence,
        tell_since: UnixMs(i64::MIN),
        skip_connected: false,
    };
    let mut letters = Letters::new(conn, &closing, lifetime);
    // The list was there first: a letter lives from now on.
    letters.expires = UnixMs::now() + lifetime;
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
            letters.tell(list.outage, &waiting, recipient);
        }
    }
    letters.write()?;
    let written = letters.by_mail.len() as u64;
    conn.prepare_cached("UPDATE letter_tally SET queued = queued + ?1")?.execute([number(written)])?;
    conn.prepare_cached("UPDATE outage SET letters = letters + ?2 WHERE id = ?1")?
        .execute((list.outage, number(written)))?;
    Ok(written)
}

/// A client that waited at a gateway which said so when another one had closed the outage.
pub(super) struct Late {
    pub(super) outage: OutageId,
    pub(super) client: ClientAddr,
    pub(super) at: UnixMs,
    pub(super) attempts: u32,
    pub(super) evidence: Failure,
}

/// Letters to those of them who got none of this recovery. Says how many.
pub(super) fn tell_late(session: &mut Session<'_>, late: &[Late], telling: &Telling) -> Result<u64, StoreError> {
    let conn = session.conn;
    let mut by_outage: BTreeMap<OutageId, Vec<&Late>> = BTreeMap::new();
    for late in late {
        by_outage.entry(late.outage).or_default().push(late);
    }
    let mut all = 0;
    for (outage, late) in by_outage {
        let book = session.book.load(conn)?;
        let (recovered, evidence) = conn
            .prepare_cached("SELECT ended, recovery FROM outage WHERE id = ?1")?
            .query_row([outage], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let tell_since = UnixMs(i64::MIN);
        let closing = Closing { outages: vec![outage], recovered, evidence, tell_since, skip_connected: false };
        let mut letters = Letters::new(conn, &closing, telling.lifetime);
        for Late { client, at, attempts, evidence, .. } in late {
            let Some(recipient) = book.lookup(*client) else { continue };
            let told = conn
                .prepare_cached(
                    "SELECT 1 FROM letter l JOIN letter_service s ON s.letter = l.id
                     WHERE s.outage = ?1 AND (lower(l.mail) = lower(?2) OR l.client = ?3)",
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
                letters.tell(outage, &waiting, recipient);
            }
        }
        letters.write()?;
        let written = letters.by_mail.len() as u64;
        conn.prepare_cached("UPDATE letter_tally SET queued = queued + ?1")?.execute([number(written)])?;
        conn.prepare_cached("UPDATE outage SET letters = letters + ?2 WHERE id = ?1")?
            .execute((outage, number(written)))?;
        all += written;
    }
    Ok(all)
}

pub(in crate::store) fn is_open(conn: &Connection, outage: OutageId) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM outage WHERE id = ?1 AND ended IS NULL")?.exists([outage])?)
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

fn page(conn: &Connection, outage: OutageId, after: Option<ClientAddr>) -> Result<Vec<Waiting>, StoreError> {
    const COLUMNS: &str = "SELECT client, first, latest, attempts, evidence, connected FROM waiting WHERE outage = ?1
        AND NOT EXISTS (SELECT 1 FROM declined WHERE declined.outage = waiting.outage AND declined.client = waiting.client)";
    let rows: Result<_, _> = match after {
        None => conn
            .prepare_cached(&format!("{COLUMNS} ORDER BY client LIMIT {PAGE}"))?
            .query_map([outage], Waiting::from_row)?
            .collect(),
        Some(client) => conn
            .prepare_cached(&format!("{COLUMNS} AND client > ?2 ORDER BY client LIMIT {PAGE}"))?
            .query_map((outage, client), Waiting::from_row)?
            .collect(),
    };
    Ok(rows?)
}

/// The letters of one recovery: one per person, however many machines and services. Written a page at a time.
struct Letters<'a> {
    conn: &'a Connection,
    closing: &'a Closing,
    expires: UnixMs,
    /// By mail address in lower case.
    by_mail: HashMap<String, Place>,
    /// Rows of the letters that are written, in the order of [`Place::letter`].
    written: Vec<LetterId>,
    letters: Vec<NewLetter>,
    /// What letters speak of, by their places.
    services: Vec<(usize, OutageId, Attempts)>,
    /// Further machines of persons that a letter speaks to.
    machines: Vec<(usize, OutageId, Attempts)>,
}

/// The letter of a person.
struct Place {
    /// Which of the recovery's.
    letter: usize,
    /// The latest outage that the letter speaks of.
    outage: OutageId,
}

/// Outage, client, recipient, language.
type NewLetter = (OutageId, ClientAddr, String, Option<Language>);

/// First, latest, how many, why.
type Attempts = (UnixMs, UnixMs, i64, Failure);

impl<'a> Letters<'a> {
    fn new(conn: &'a Connection, closing: &'a Closing, lifetime: Duration) -> Self {
        Self {
            conn,
            closing,
            expires: closing.recovered + lifetime,
            by_mail: HashMap::new(),
            written: Vec::new(),
            letters: Vec::new(),
            services: Vec::new(),
            machines: Vec::new(),
        }
    }

    /// A letter to the recipient; or the one that there is speaks of this client too. Says how many services were added
    /// to letters: one or none.
    fn tell(&mut self, outage: OutageId, waiting: &Waiting, recipient: &AddressEntry) -> u64 {
        let attempts = (waiting.first, waiting.latest, waiting.attempts, waiting.evidence);
        match self.by_mail.entry(recipient.mail.to_lowercase()) {
            Entry::Vacant(place) => {
                let letter = self.written.len() + self.letters.len();
                self.letters.push((outage, waiting.client, recipient.mail.clone(), recipient.language));
                self.services.push((letter, outage, attempts));
                place.insert(Place { letter, outage });
                1
            }
            Entry::Occupied(mut place) if place.get().outage != outage => {
                place.get_mut().outage = outage;
                self.services.push((place.get().letter, outage, attempts));
                1
            }
            Entry::Occupied(place) => {
                self.machines.push((place.get().letter, outage, attempts));
                0
            }
        }
    }

    /// Writes what has gathered: letters, then what they speak of, then more about that.
    fn write(&mut self) -> Result<(), StoreError> {
        let Closing { recovered, evidence, .. } = *self.closing;
        let letters: Vec<_> = self
            .letters
            .iter()
            .map(|(outage, client, mail, language)| {
                (*outage, *client, mail, *language, recovered, evidence, self.expires)
            })
            .collect();
        let ids = self
            .conn
            .prepare_cached(
                "INSERT INTO letter (outage, client, mail, language, recovered, evidence, expires, due)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?5) RETURNING id",
            )?
            .query_each(&letters, |row| row.get::<_, i64>(0))?;
        self.written.extend(ids.into_iter().flatten().map(LetterId));
        self.letters.clear();
        let services: Vec<_> = self
            .services
            .drain(..)
            .map(|(letter, outage, (first, latest, attempts, failure))| {
                (self.written[letter], outage, first, latest, attempts, failure)
            })
            .collect();
        self.conn
            .prepare_cached(
                "INSERT INTO letter_service (letter, outage, first, latest, attempts, failure)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute_each(&services)?;
        let machines: Vec<_> = self
            .machines
            .drain(..)
            .map(|(letter, outage, (first, latest, attempts, failure))| {
                (self.written[letter], outage, first, latest, attempts, failure, Failure::KnownFailed)
            })
            .collect();
        // The letter tells of all attempts of one person together.
        self.conn
            .prepare_cached(
                "UPDATE letter_service SET first = CASE WHEN ?3 < first THEN ?3 ELSE first END,
                     latest = CASE WHEN ?4 > latest THEN ?4 ELSE latest END, attempts = attempts + ?5,
                     failure = CASE WHEN failure = ?7 THEN ?6 ELSE failure END
                 WHERE letter = ?1 AND outage = ?2",
            )?
            .execute_each(&machines)?;
        Ok(())
    }
}
