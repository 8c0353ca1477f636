//! What a gateway has to know about the others: their outages, ends of its own outages, changes of the address book.

use monitor_core::{domain::UnixMs, outage::Outage};

use super::{
    columns::count,
    outages,
    questions::{self, Questions},
};
use crate::{
    Elsewhere, Following, Gateway, GatewayRecord, StoreError,
    sql::{Connection, OptionalExtension as _},
};

/// Records that the gateway is alive.
pub(crate) fn greet(conn: &Connection, gateway: &Gateway, now: UnixMs) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO gateway (name, host, applied, seen) VALUES (?1, ?2, 0, ?3)
         ON CONFLICT (name) DO UPDATE SET host = excluded.host, seen = excluded.seen",
    )?
    .execute((&gateway.name, &gateway.host, now))?;
    Ok(())
}

/// Reads what the gateway has to know, and the numbers of its own questions that others have answered.
pub(crate) fn follow(conn: &Connection, gateway: &str, now: UnixMs) -> Result<(Following, Vec<i64>), StoreError> {
    let opened: Vec<Outage> = conn
        .prepare_cached(
            "SELECT * FROM outage WHERE ended IS NULL AND phase = 'open' AND NOT EXISTS
                 (SELECT 1 FROM outage_alias a WHERE a.outage = outage.id AND a.gateway = ?1 AND a.ended = 0)
             ORDER BY id",
        )?
        .query_map([gateway], outages::outage)?
        .collect::<Result<_, _>>()?;
    let ended: Vec<Elsewhere> = conn
        .prepare_cached(
            "SELECT a.local, o.ended FROM outage_alias a JOIN outage o ON o.id = a.outage
             WHERE a.gateway = ?1 AND a.ended = 0 AND o.ended IS NOT NULL ORDER BY a.local",
        )?
        .query_map([gateway], |row| Ok(Elsewhere { outage: row.get(0)?, ended: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    let book = conn.prepare_cached("SELECT book FROM shared")?.query_row((), |row| row.get(0)).optional()?;
    let Questions { asked, answered, done } = questions::read(conn, gateway, now)?;
    Ok((Following { opened, ended, book: book.unwrap_or(0), asked, answered }, done))
}

/// Every gateway that has ever used this database, the one seen latest first.
pub(crate) fn gateways(conn: &Connection) -> Result<Vec<GatewayRecord>, StoreError> {
    let mut select = conn.prepare_cached("SELECT name, host, applied, seen FROM gateway ORDER BY seen DESC, name")?;
    let rows = select.query_map((), |row| {
        Ok(GatewayRecord {
            name: row.get("name")?,
            host: row.get("host")?,
            applied: count(row, "applied")?,
            seen: row.get("seen")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
