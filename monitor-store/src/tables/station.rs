//! The relay's side: a list becomes an outage, its waiting clients, their letters and the receipt, in one transaction.

use monitor_core::{
    domain::{MonotonicNs, OutageId, UnixMs},
    outage::{Closing, Level, Outage, Phase, Span},
    relay::Receipt,
};

use super::{
    super::{NotificationPolicy, RefusedMail, StoreError, Taken, TakenList},
    changes, closing,
    columns::number,
    ready,
    session::Session,
    shared,
};
use crate::sql::{Connection, OptionalExtension as _};

/// How many refusals are kept.
const KEPT: u32 = 200;

/// See [`crate::Store::take_list`].
pub(crate) fn take(
    session: &mut Session<'_>,
    taken: &TakenList,
    now: UnixMs,
    telling: &NotificationPolicy,
) -> Result<Taken, StoreError> {
    let TakenList { list, uid, tell_since, receipt } = taken;
    let conn = session.conn;
    shared::take_turn(conn)?;
    conn.execute("DELETE FROM relay_taken WHERE expires < ?1", [now])?;
    let known: Option<String> = conn
        .query_row(
            "SELECT uid FROM relay_taken WHERE gateway = ?1 AND nonce = ?2",
            (&list.gateway, &list.nonce),
            |row| row.get(0),
        )
        .optional()?;
    if let Some(known) = known {
        return Ok(if known == *uid { Taken::Again } else { Taken::Replayed });
    }
    conn.execute(
        "INSERT INTO relay_taken (gateway, nonce, uid, expires) VALUES (?1, ?2, ?3, ?4)",
        (&list.gateway, &list.nonce, uid, list.expires),
    )?;
    let outage = OutageId(conn.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM outage", (), |row| row.get(0))?);
    let evidence = list.clients.first().map_or(monitor_core::outage::Failure::Unanswered, |listed| listed.evidence);
    changes::put(
        conn,
        &Outage {
            id: outage,
            service: list.service(),
            since: list.since,
            latest: list.clients.iter().map(|listed| listed.latest).max().unwrap_or(list.since),
            evidence,
            level: Level::Service,
            failures: list.clients.iter().fold(0, |sum, listed| sum.saturating_add(listed.attempts)),
            span: Span::default(),
            trying_until: UnixMs::default(),
            phase: Phase::Open,
        },
    )?;
    let rows: Vec<_> = list
        .clients
        .iter()
        .map(|listed| (outage, listed.client, listed.first, listed.latest, number(listed.attempts), listed.evidence))
        .collect();
    conn.prepare_cached(
        "INSERT INTO waiting (outage, client, first, latest, attempts, evidence) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute_each(&rows)?;
    conn.execute("UPDATE outage SET clients = ?2 WHERE id = ?1", (outage, number(list.clients.len() as u64)))?;
    let closing = Closing {
        outages: vec![outage],
        recovered: list.recovered,
        until: MonotonicNs::default(),
        evidence: list.evidence,
        known: UnixMs(i64::MAX),
        tell_since: *tell_since,
        skip_connected: false,
    };
    let applied = closing::close(session, &closing, telling)?;
    if let Some(order) = receipt {
        let receipt = Receipt::new(list, &order.keyring, applied.letters, applied.untold, now);
        let mail = receipt.mail(list, &order.keyring, order.to.clone());
        ready::write(session.conn, &mail, receipt.expires)?;
    }
    Ok(Taken::New { letters: applied.letters, untold: applied.untold })
}

pub(crate) fn refuse(conn: &Connection, refused: &RefusedMail) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO relay_refused (at, reason, file) VALUES (?1, ?2, ?3)",
        (refused.at, &refused.reason, &refused.file),
    )?;
    conn.execute(
        "DELETE FROM relay_refused WHERE id NOT IN (SELECT id FROM relay_refused ORDER BY id DESC LIMIT ?1)",
        [KEPT],
    )?;
    Ok(())
}

/// Refused mails, latest first.
pub(crate) fn refused(conn: &Connection, limit: u32) -> Result<Vec<RefusedMail>, StoreError> {
    let mut select = conn.prepare_cached("SELECT at, reason, file FROM relay_refused ORDER BY id DESC LIMIT ?1")?;
    let rows = select.query_map([limit], |row| {
        Ok(RefusedMail { at: row.get("at")?, reason: row.get("reason")?, file: row.get("file")? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
