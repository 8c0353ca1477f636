//! Learned services: those that have answered somebody (design rule 3).

use monitor_core::domain::{Service, UnixMs};

use super::{
    super::StoreError,
    columns::{Address, service},
};
use crate::sql::Connection;

pub(crate) fn learn(conn: &Connection, services: &[(Service, UnixMs)]) -> Result<(), StoreError> {
    let mut upsert = conn.prepare_cached(
        "INSERT INTO service (server, port, answered) VALUES (?1, ?2, ?3)
         ON CONFLICT (server, port) DO UPDATE SET answered = excluded.answered
         WHERE excluded.answered > service.answered",
    )?;
    let rows: Vec<_> =
        services.iter().map(|(service, answered)| (Address(service.addr()), service.port(), answered)).collect();
    upsert.execute_each(&rows)?;
    Ok(())
}

pub(crate) fn forget(conn: &Connection, answered_before: UnixMs) -> Result<u64, StoreError> {
    let gone = conn.execute("DELETE FROM service WHERE answered < ?1", [answered_before])?;
    Ok(gone as u64)
}

pub(crate) fn learned(conn: &Connection) -> Result<Vec<(Service, UnixMs)>, StoreError> {
    let mut select =
        conn.prepare_cached("SELECT server, port, answered FROM service ORDER BY answered DESC, server, port")?;
    let rows = select.query_map((), |row| Ok((service(row)?, row.get("answered")?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
