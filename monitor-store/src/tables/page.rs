//! What clients answer on the stand-in page: a "yes" is an entry of the address book, a "no" a row that the recovery
//! reads.

use monitor_core::{
    domain::{ClientAddr, OutageId, UnixMs},
    mail::{AddressEntry, Origin},
};

use super::{super::StoreError, columns::network, session::Session};
use crate::sql::Connection;

/// Keeps a "no" (F-23).
pub(crate) fn decline(conn: &Connection, outage: OutageId, client: ClientAddr, at: UnixMs) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO declined (outage, client, at) SELECT ?1, ?2, ?3 FROM outage WHERE id = ?1
         ON CONFLICT (outage, client) DO UPDATE SET at = excluded.at",
    )?
    .execute((outage, client, at))?;
    Ok(())
}

/// Keeps a "yes" (F-24). It cancels an earlier "no"; an entry that the operator wrote for this client stays.
pub(crate) fn register(
    session: &mut Session<'_>,
    outage: OutageId,
    client: ClientAddr,
    entry: &AddressEntry,
) -> Result<(), StoreError> {
    session.book.change(session.conn)?;
    let (net, prefix) = network(entry.client);
    session
        .conn
        .prepare_cached(
            "INSERT INTO address (net, prefix, mail, language, origin, registered) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (net, prefix) DO UPDATE SET mail = excluded.mail, language = excluded.language,
                 registered = excluded.registered
             WHERE address.origin = excluded.origin",
        )?
        .execute((net, prefix, &entry.mail, entry.language, entry.origin, entry.registered))?;
    session.conn.prepare_cached("DELETE FROM declined WHERE outage = ?1 AND client = ?2")?.execute((outage, client))?;
    Ok(())
}

/// Deletes an address wherever it was typed; says whether another entry has it.
pub(crate) fn unsubscribe(session: &mut Session<'_>, mail: &str) -> Result<bool, StoreError> {
    session.book.change(session.conn)?;
    session.conn.execute("DELETE FROM address WHERE lower(mail) = lower(?1) AND origin = ?2", (mail, Origin::Page))?;
    Ok(session.conn.prepare_cached("SELECT 1 FROM address WHERE lower(mail) = lower(?1)")?.exists([mail])?)
}

/// Deletes addresses that were typed before then; says how many.
pub(crate) fn forget(session: &mut Session<'_>, before: UnixMs) -> Result<u64, StoreError> {
    session.book.change(session.conn)?;
    let gone =
        session.conn.execute("DELETE FROM address WHERE origin = ?1 AND registered < ?2", (Origin::Page, before))?;
    Ok(gone as u64)
}
