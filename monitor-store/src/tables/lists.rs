//! The gateway's side of relays: lists in place of letters, their receipts, and the fallback to letters.

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::{LetterId, Outcome},
    outage::{Closing, Failure},
    relay::{About, List, Listed, MOST_CLIENTS, Receipt, Relay, Relays},
};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::{
    super::{ListRecord, ListState, NotificationPolicy, StoreError},
    closing::{self, Waiting},
    columns::{count, number, service},
    outbox, ready,
    session::Session,
};
use crate::sql::{Connection, OptionalExtension as _};

/// In the name of no process that delivers.
const NOBODY: i64 = 0;

/// How many settled lists are kept to be shown.
const KEPT: u32 = 1000;

/// The relay that tells the clients of this outage.
pub(super) fn relay_of<'a>(
    conn: &Connection,
    outage: OutageId,
    relays: &'a Relays,
) -> Result<Option<&'a Relay>, StoreError> {
    if relays.is_empty() {
        return Ok(None);
    }
    let server = conn
        .prepare_cached("SELECT server, port FROM outage WHERE id = ?1")?
        .query_row([outage], service)
        .optional()?;
    Ok(server.and_then(|service| relays.of(service.addr())))
}

/// Gathers the clients on one outage's list while its waiting list is read.
pub(super) struct Lists<'a> {
    conn: &'a Connection,
    relay: &'a Relay,
    about: About,
    clients: Vec<Listed>,
    now: UnixMs,
    telling: &'a NotificationPolicy,
    written: u64,
}

impl<'a> Lists<'a> {
    pub(super) fn new(
        conn: &'a Connection,
        relay: &'a Relay,
        outage: OutageId,
        closing: &Closing,
        telling: &'a NotificationPolicy,
    ) -> Result<Self, StoreError> {
        let about = conn
            .prepare_cached("SELECT server, port, server_name, since FROM outage WHERE id = ?1")?
            .query_row([outage], |row| {
                Ok(About {
                    outage,
                    service: service(row)?,
                    name: row.get("server_name")?,
                    since: row.get("since")?,
                    recovered: closing.recovered,
                    evidence: closing.evidence,
                })
            })?;
        Ok(Self { conn, relay, about, clients: Vec::new(), now: crate::clock::now(), telling, written: 0 })
    }

    pub(super) fn add(&mut self, waiting: &Waiting) -> Result<(), StoreError> {
        self.clients.push(Listed {
            client: waiting.client,
            first: waiting.first,
            latest: waiting.latest,
            attempts: u64::try_from(waiting.attempts).unwrap_or(0),
            // Relays of this version of the list know no other word for a client that has not tried.
            evidence: if waiting.evidence == Failure::Asked { Failure::KnownFailed } else { waiting.evidence },
        });
        if self.clients.len() == MOST_CLIENTS { self.write() } else { Ok(()) }
    }

    /// Writes the rest; says how many lists there are. If no client waits, there is none.
    pub(super) fn finish(mut self) -> Result<u64, StoreError> {
        self.write()?;
        Ok(self.written)
    }

    fn write(&mut self) -> Result<(), StoreError> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let clients = std::mem::take(&mut self.clients);
        let mut nonce = [0; 16];
        SystemRandom::new().fill(&mut nonce).map_err(|_| StoreError::Random)?;
        let issued = self.relay.issue(&self.about, clients, nonce, self.now, self.telling.lifetime);
        // The mail expires with its list: a relay would refuse it.
        let Some(letter) = ready::write(self.conn, &issued.mail, issued.list.expires)? else { return Ok(()) };
        self.conn
            .prepare_cached(
                "INSERT INTO relay_list (nonce, outage, letter, mail, clients, issued, expires, fallback, content)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                &issued.list.nonce,
                self.about.outage,
                letter,
                &issued.mail.to,
                number(issued.list.clients.len() as u64),
                issued.list.issued,
                issued.list.expires,
                issued.fallback,
                serde_json::to_vec(&issued.list).unwrap_or_default(),
            ))?;
        self.written += 1;
        Ok(())
    }
}

/// Records that a relay has taken the list; says whether that list was open, or had this receipt before.
pub(crate) fn receive(conn: &Connection, receipt: &Receipt, now: UnixMs) -> Result<bool, StoreError> {
    let changed = conn.execute(
        "UPDATE relay_list SET state = 'delivered', settled = ?2, told = ?3, untold = ?4, content = NULL
         WHERE nonce = ?1 AND state IN ('pending', 'expired')",
        (&receipt.nonce, now, number(receipt.told), number(receipt.untold)),
    )?;
    let before = "SELECT 1 FROM relay_list WHERE nonce = ?1 AND state = 'delivered'";
    Ok(changed > 0 || conn.prepare_cached(before)?.exists([&receipt.nonce])?)
}

/// Settles the lists whose time is over, by letters to their clients where the operator wants that. Says how many
/// letters were written.
pub(crate) fn settle_overdue(
    session: &mut Session<'_>,
    now: UnixMs,
    telling: &NotificationPolicy,
) -> Result<u64, StoreError> {
    let conn = session.conn;
    conn.execute(
        "UPDATE relay_list SET state = 'expired', settled = ?1, content = NULL
         WHERE state = 'pending' AND fallback IS NULL AND expires <= ?1",
        [now],
    )?;
    let overdue: Vec<(String, LetterId, Vec<u8>)> = conn
        .prepare_cached(
            "SELECT nonce, letter, content FROM relay_list
             WHERE state = 'pending' AND fallback <= ?1 ORDER BY issued, nonce",
        )?
        .query_map([now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut letters = 0;
    for (nonce, letter, content) in overdue {
        // This code wrote it, or an older version.
        match serde_json::from_slice::<List>(&content) {
            Ok(list) => letters += closing::tell_listed(session, &list, telling.lifetime)?,
            Err(error) => tracing::error!(nonce, %error, "a list cannot be read: its clients are not told"),
        }
        let reason = "no receipt in time: the clients are mailed from here".to_owned();
        outbox::record(session.conn, &[(letter, Outcome::Dead { at: now, reason })], NOBODY)?;
        session.conn.execute(
            "UPDATE relay_list SET state = 'direct', settled = ?2, content = NULL WHERE nonce = ?1",
            (&nonce, now),
        )?;
    }
    session.conn.execute(
        "DELETE FROM relay_list WHERE state <> 'pending' AND nonce NOT IN
             (SELECT nonce FROM relay_list ORDER BY issued DESC LIMIT ?1)",
        [KEPT],
    )?;
    Ok(letters)
}

/// Lists, latest first.
pub(crate) fn lists(conn: &Connection, limit: u32) -> Result<Vec<ListRecord>, StoreError> {
    let mut select = conn.prepare_cached(
        "SELECT l.*, o.server, o.port FROM relay_list l JOIN outage o ON o.id = l.outage
         ORDER BY l.issued DESC, l.nonce LIMIT ?1",
    )?;
    let rows = select.query_map([limit], |row| {
        let state: String = row.get("state")?;
        Ok(ListRecord {
            outage: row.get("outage")?,
            service: service(row)?,
            relay: row.get("mail")?,
            clients: count(row, "clients")?,
            issued: row.get("issued")?,
            state: match state.as_str() {
                "delivered" => ListState::Delivered,
                "expired" => ListState::Expired,
                "direct" => ListState::Direct,
                // The table's check allows no other word.
                _ => ListState::Pending,
            },
            settled: row.get("settled")?,
            told: row.get::<_, Option<i64>>("told")?.and_then(|told| u64::try_from(told).ok()),
            fallback: row.get("fallback")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many lists are in each state.
pub(crate) fn states(conn: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT state, COUNT(*) AS lists FROM relay_list GROUP BY state ORDER BY state")?;
    let rows = select.query_map((), |row| Ok((row.get("state")?, count(row, "lists")?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
