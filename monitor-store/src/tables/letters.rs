//! The letters of one recovery: one per person, however many machines and services.
//!
//! In: waiting clients with their recipients, a page at a time. Out: rows of the outbox, a page in a few statements.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use monitor_core::{
    domain::{ClientAddr, Language, OutageId, UnixMs},
    mail::{AddressEntry, LetterId},
    outage::{Closing, Failure},
};

use super::{super::StoreError, closing::Waiting};
use crate::sql::{Connection, Error};

/// Gathers letters until they are written.
pub(super) struct Letters<'a> {
    conn: &'a Connection,
    closing: &'a Closing,
    expires: UnixMs,
    /// By mail address in lower case.
    by_mail: HashMap<String, Place>,
    /// Rows of the letters that are written, in the order of [`Place::letter`].
    written: Vec<LetterId>,
    letters: Vec<NewLetter>,
    /// What letters are to speak of.
    services: BTreeMap<Subject, Attempts>,
    /// Further machines of persons, of which a letter that is written speaks already.
    machines: BTreeMap<Subject, Attempts>,
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

/// Which of the recovery's letters, and an outage that it speaks of.
type Subject = (usize, OutageId);

/// All attempts of one person together.
#[derive(Clone, Copy)]
struct Attempts {
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

impl<'a> Letters<'a> {
    pub(super) fn new(conn: &'a Connection, closing: &'a Closing, expires: UnixMs) -> Self {
        Self {
            conn,
            closing,
            expires,
            by_mail: HashMap::new(),
            written: Vec::new(),
            letters: Vec::new(),
            services: BTreeMap::new(),
            machines: BTreeMap::new(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.by_mail.len() as u64
    }

    /// A letter to the recipient; or the one that there is speaks of this client too. Says how many services were added
    /// to letters: one or none.
    pub(super) fn tell(&mut self, outage: OutageId, waiting: &Waiting, recipient: &AddressEntry) -> u64 {
        let attempts =
            Attempts { first: waiting.first, latest: waiting.latest, count: waiting.attempts, why: waiting.evidence };
        let letter = match self.by_mail.entry(recipient.mail.to_lowercase()) {
            Entry::Vacant(place) => {
                let letter = self.written.len() + self.letters.len();
                self.letters.push((outage, waiting.client, recipient.mail.clone(), recipient.language));
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

    /// Writes what has gathered: letters, then what they speak of, then more about that.
    pub(super) fn write(&mut self) -> Result<(), StoreError> {
        const SERVICES: &str = "letter_service (letter, outage, first, latest, attempts, failure)";
        let Closing { recovered, evidence, .. } = *self.closing;
        let letters: Vec<_> = self
            .letters
            .iter()
            .map(|(outage, client, mail, language)| {
                (*outage, *client, mail, *language, recovered, evidence, self.expires, recovered)
            })
            .collect();
        let rows: HashMap<(OutageId, ClientAddr), LetterId> = self
            .conn
            .insert_returning(
                "letter (outage, client, mail, language, recovered, evidence, expires, due)",
                &letters,
                "RETURNING outage, client, id",
                |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
            )?
            .into_iter()
            .collect();
        for (outage, client, ..) in self.letters.drain(..) {
            self.written.push(*rows.get(&(outage, client)).ok_or(Error::NoRow)?);
        }
        let written = &self.written;
        let row = |((letter, outage), attempts): (Subject, Attempts)| {
            (written[letter], outage, attempts.first, attempts.latest, attempts.count, attempts.why)
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
}
