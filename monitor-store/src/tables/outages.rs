//! Outages and waiting lists as they are read: by the machine at start, by people at any time.

use monitor_core::{
    domain::{ClientAddr, ClockOffset, MonotonicNs, OutageId, Service},
    outage::{Ended, LatestAttempt, Outage, Phase, Recovery, Restored, Span},
};

use super::{
    super::{OutageRecord, ReadUpTo, StoreError, WaitingClient},
    columns::{Address, count, service},
};
use crate::sql::{Connection, Error, OptionalExtension as _, Row};

pub(crate) fn restore(conn: &Connection) -> Result<Restored, StoreError> {
    let outages = conn
        .prepare_cached("SELECT * FROM outage WHERE ended IS NULL ORDER BY id")?
        .query_map((), outage)?
        .collect::<Result<_, _>>()?;
    let ended = conn
        .prepare_cached("SELECT * FROM outage WHERE settling_list = 1 ORDER BY id")?
        .query_map((), |row| {
            let evidence: Option<Recovery> = row.get("recovery")?;
            // One that another gateway has closed has no word for it here.
            let evidence = evidence.unwrap_or(Recovery::Signal);
            Ok(Ended { outage: outage(row)?, recovered: row.get("ended")?, evidence })
        })?
        .collect::<Result<_, _>>()?;
    let next_outage = conn.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM outage", (), |row| row.get(0))?;
    Ok(Restored { outages, ended, next_outage })
}

pub(super) fn outage(row: &Row<'_>) -> Result<Outage, Error> {
    let phase: String = row.get("phase")?;
    Ok(Outage {
        id: row.get("id")?,
        service: service(row)?,
        since: row.get("since")?,
        latest: row.get("latest")?,
        evidence: row.get("evidence")?,
        level: row.get("level")?,
        failures: count(row, "failures")?,
        span: span(row)?,
        trying_until: row.get("trying_until")?,
        phase: match phase.as_str() {
            "suspected" => Phase::Suspected,
            "settling" => Phase::Settling {
                until: row.get("settle_until")?,
                evidence: row.get("settle_evidence")?,
                recovered: row.get("settle_recovered")?,
            },
            // The table's check allows no other word.
            _ => Phase::Open,
        },
    })
}

pub(crate) fn read_up_to(conn: &Connection) -> Result<Option<ReadUpTo>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT ring, position, steady FROM kernel_reports")?
        .query_row((), |row| {
            let (ring, position): (i64, i64) = (row.get(0)?, row.get(1)?);
            let steady: Option<i64> = row.get(2)?;
            Ok(ReadUpTo {
                ring: ring.cast_unsigned(),
                position: position.cast_unsigned(),
                steady: steady.map(ClockOffset::from_nanoseconds),
            })
        })
        .optional()?)
}

pub(crate) fn set_read(conn: &Connection, read: ReadUpTo) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO kernel_reports (one, ring, position, steady) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET ring = excluded.ring, position = excluded.position, steady = excluded.steady",
    )?
    .execute((read.ring.cast_signed(), read.position.cast_signed(), read.steady.map(ClockOffset::nanoseconds)))?;
    Ok(())
}

fn span(row: &Row<'_>) -> Result<Span, Error> {
    let (until, seen): (Option<i64>, Option<i64>) = (row.get("until_ns")?, row.get("latest_ns")?);
    let answers: Option<i64> = row.get("latest_answers")?;
    let latest = seen.zip(answers).map(|(seen, answers)| LatestAttempt {
        seen: MonotonicNs(seen.unsigned_abs()),
        answers: u32::try_from(answers).unwrap_or_default(),
    });
    let from = MonotonicNs(count(row, "from_ns")?);
    Ok(Span { from, until: until.map(|until| MonotonicNs(until.unsigned_abs())), latest })
}

pub(crate) fn set_server_name(conn: &Connection, outage: OutageId, name: &str) -> Result<(), StoreError> {
    conn.execute("UPDATE outage SET server_name = ?2 WHERE id = ?1", (outage, name))?;
    Ok(())
}

/// Finds the outage by the number that this gateway gave it.
pub(crate) fn set_shared_name(conn: &Connection, gateway: &str, own: OutageId, name: &str) -> Result<(), StoreError> {
    conn.execute(
        "UPDATE outage SET server_name = ?3 WHERE id IN
             (SELECT outage FROM outage_alias WHERE gateway = ?1 AND local = ?2)",
        (gateway, own, name),
    )?;
    Ok(())
}

pub(crate) fn list(conn: &Connection, ended: bool, limit: u32) -> Result<Vec<OutageRecord>, StoreError> {
    let sql = if ended {
        "SELECT * FROM outage ORDER BY id DESC LIMIT ?1"
    } else {
        "SELECT * FROM outage WHERE ended IS NULL ORDER BY id DESC LIMIT ?1"
    };
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([limit], |row| {
        Ok(OutageRecord {
            outage: outage(row)?,
            server_name: row.get("server_name")?,
            clients: count(row, "clients")?,
            ended: row.get("ended")?,
            recovery: row.get("recovery")?,
            letters: count(row, "letters")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The open outage of this service.
pub(crate) fn open_of(conn: &Connection, service: Service) -> Result<Option<OutageId>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT id FROM outage WHERE server = ?1 AND port = ?2 AND ended IS NULL")?
        .query_row((Address(service.addr()), service.port()), |row| row.get(0))
        .optional()?)
}

pub(crate) fn is_waiting(conn: &Connection, outage: OutageId, client: ClientAddr) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM waiting WHERE outage = ?1 AND client = ?2")?.exists((outage, client))?)
}

pub(crate) fn waiting(
    conn: &Connection,
    outage: Option<OutageId>,
    limit: u32,
) -> Result<Vec<WaitingClient>, StoreError> {
    // From the first possible id to the last: the same rows in the same order as without a choice.
    let (from, to) = outage.map_or((OutageId(i64::MIN), OutageId(i64::MAX)), |outage| (outage, outage));
    let mut select = conn.prepare_cached(
        "SELECT w.outage, o.server, o.port, w.client, w.first, w.latest, w.attempts, w.evidence, w.connected
         FROM waiting w JOIN outage o ON o.id = w.outage
         WHERE w.outage BETWEEN ?1 AND ?2 ORDER BY w.outage, w.client LIMIT ?3",
    )?;
    let rows = select.query_map((from, to, limit), |row| {
        Ok(WaitingClient {
            outage: row.get("outage")?,
            service: service(row)?,
            client: row.get("client")?,
            first: row.get("first")?,
            latest: row.get("latest")?,
            attempts: count(row, "attempts")?,
            evidence: row.get("evidence")?,
            connected: row.get("connected")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
