//! The letters of one recovery: one per person, however many machines and services.
//!
//! In: waiting clients with their recipients, a page at a time. Out: rows of the outbox, a page in a few statements.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use monitor_core::{
    domain::{ClientAddr, Language, OutageId, UnixMs},
    mail::{AddressEntry, LetterId, recovery_key},
    outage::Failure,
};

use super::{super::StoreError, closing::Waiting, columns::number};
use crate::sql::{Connection, Error};

/// Gathers letters until they are written.
pub(super) struct Letters<'a> {
    conn: &'a Connection,
    recovered: UnixMs,
    expires: UnixMs,
    /// By mail address in lower case.
    by_mail: HashMap<String, Place>,
    /// Rows of the letters that are written, in the order of [`Place::letter`].
    written: Vec<LetterId>,
    letters: Vec<NewLetter>,
    /// Services to be added to letters.
    services: BTreeMap<Subject, Attempts>,
    /// Attempts of further machines of a person, for services that a written letter already reports.
    machines: BTreeMap<Subject, Attempts>,
}

/// An outage that is over, as far as letters are concerned.
#[derive(Clone, Copy)]
pub(super) struct Over {
    pub(super) outage: OutageId,
    /// Its begin, which is part of its letters' keys.
    pub(super) since: UnixMs,
}

/// The letter of a person.
struct Place {
    /// Its number among the recovery's letters.
    letter: usize,
    /// The latest outage that the letter reports.
    outage: OutageId,
}

struct NewLetter {
    key: String,
    recipient: String,
    language: Option<Language>,
}

/// The number of a letter among the recovery's, and an outage that it reports.
type Subject = (usize, OutageId);

/// All attempts of one person together.
#[derive(Clone, Copy)]
struct Attempts {
    /// The machine that was found first.
    client: ClientAddr,
    first: UnixMs,
    latest: UnixMs,
    count: i64,
    why: Failure,
}

impl Attempts {
    fn add(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.latest = self.latest.max(other.latest);
        self.count += other.count;
        if other.why.tells_more_than(self.why) {
            self.why = other.why;
        }
    }
}

impl From<&Waiting> for Attempts {
    fn from(waiting: &Waiting) -> Self {
        let Waiting { client, first, latest, attempts, evidence, .. } = *waiting;
        Self { client, first, latest, count: attempts, why: evidence }
    }
}

impl<'a> Letters<'a> {
    pub(super) fn new(conn: &'a Connection, recovered: UnixMs, expires: UnixMs) -> Self {
        Self {
            conn,
            recovered,
            expires,
            by_mail: HashMap::new(),
            written: Vec::new(),
            letters: Vec::new(),
            services: BTreeMap::new(),
            machines: BTreeMap::new(),
        }
    }

    /// Adds this client to the recipient's letter, which is made if there is none. Says how many services were added to
    /// letters: one or none.
    pub(super) fn tell(&mut self, over: Over, waiting: &Waiting, recipient: &AddressEntry) -> u64 {
        let attempts = Attempts::from(waiting);
        let Over { outage, since } = over;
        let letter = match self.by_mail.entry(recipient.mail.to_lowercase()) {
            Entry::Vacant(place) => {
                let letter = self.written.len() + self.letters.len();
                self.letters.push(NewLetter {
                    key: recovery_key(outage, since, waiting.client),
                    recipient: recipient.mail.clone(),
                    language: recipient.language,
                });
                place.insert(Place { letter, outage });
                letter
            }
            Entry::Occupied(mut place) if place.get().outage != outage => {
                place.get_mut().outage = outage;
                place.get().letter
            }
            Entry::Occupied(place) => {
                let subject = (place.get().letter, outage);
                match self.services.get_mut(&subject) {
                    Some(told) => told.add(attempts),
                    None => {
                        self.machines.entry(subject).and_modify(|told| told.add(attempts)).or_insert(attempts);
                    }
                }
                return 0;
            }
        };
        self.services.insert((letter, outage), attempts);
        1
    }

    /// Writes what has gathered: letters, then their services, then further attempts for services that are written.
    pub(super) fn write(&mut self) -> Result<(), StoreError> {
        const SERVICES: &str = "letter_service (letter, outage, client, first, latest, attempts, failure)";
        let (at, expires) = (self.recovered, self.expires);
        let letters: Vec<_> = self
            .letters
            .iter()
            .map(|NewLetter { key, recipient, language }| (key, recipient, *language, at, expires, at))
            .collect();
        let rows: HashMap<String, LetterId> = self
            .conn
            .insert_returning(
                "letter (key, recipient, language, at, expires, due)",
                &letters,
                "RETURNING key, id",
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .into_iter()
            .collect();
        for NewLetter { key, .. } in self.letters.drain(..) {
            self.written.push(*rows.get(&key).ok_or(Error::NoRow)?);
        }
        let written = &self.written;
        let row = |((letter, outage), told): (Subject, Attempts)| {
            (written[letter], outage, told.client, told.first, told.latest, told.count, told.why)
        };
        let services: Vec<_> = std::mem::take(&mut self.services).into_iter().map(row).collect();
        self.conn.insert(SERVICES, &services, "")?;
        let machines: Vec<_> = std::mem::take(&mut self.machines).into_iter().map(row).collect();
        self.conn.insert(
            SERVICES,
            &machines,
            &format!(
                "ON CONFLICT (letter, outage) DO UPDATE SET attempts = letter_service.attempts + excluded.attempts,
                     first = CASE WHEN excluded.first < letter_service.first THEN excluded.first
                         ELSE letter_service.first END,
                     latest = CASE WHEN excluded.latest > letter_service.latest THEN excluded.latest
                         ELSE letter_service.latest END,
                     failure = CASE WHEN letter_service.failure = '{asked}'
                             OR (letter_service.failure = '{known}' AND excluded.failure <> '{asked}')
                         THEN excluded.failure ELSE letter_service.failure END",
                asked = Failure::Asked.word(),
                known = Failure::KnownFailed.word(),
            ),
        )?;
        Ok(())
    }

    /// Writes the rest, and counts them all as queued; says how many there are.
    pub(super) fn finish(mut self) -> Result<u64, StoreError> {
        self.write()?;
        let written = self.by_mail.len() as u64;
        self.conn.prepare_cached("UPDATE letter_tally SET queued = queued + ?1")?.execute([number(written)])?;
        Ok(written)
    }
}
