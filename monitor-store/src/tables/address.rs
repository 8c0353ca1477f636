//! Changes of the address book's table.

use std::collections::BTreeMap;

use monitor_core::{
    domain::ClientNet,
    mail::{AddressEntry, Origin},
};

use super::{
    super::StoreError,
    columns::{Address, network},
    session::Session,
};
use crate::sql::Connection;

pub(crate) fn put(session: &mut Session<'_>, entries: &[AddressEntry]) -> Result<(), StoreError> {
    session.book.change(session.conn)?;
    upsert(
        session.conn,
        entries,
        "ON CONFLICT (net, prefix) DO UPDATE SET mail = excluded.mail, language = excluded.language,
             origin = excluded.origin, registered = excluded.registered",
    )
}

pub(crate) fn replace_config(session: &mut Session<'_>, entries: &[AddressEntry]) -> Result<(), StoreError> {
    session.book.change(session.conn)?;
    session.conn.execute("DELETE FROM address WHERE origin = ?1", [Origin::Config])?;
    // The entries that are left were made by people.
    upsert(
        session.conn,
        entries,
        "ON CONFLICT (net, prefix) DO UPDATE SET mail = excluded.mail, language = excluded.language,
             registered = excluded.registered
         WHERE address.origin = excluded.origin",
    )
}

/// `then` says what happens to an entry that exists. If two entries name the same network, the later one counts.
fn upsert(conn: &Connection, entries: &[AddressEntry], then: &str) -> Result<(), StoreError> {
    let mut by_net = BTreeMap::new();
    for entry in entries {
        let (Address(addr), prefix) = network(entry.client);
        by_net.insert((addr.to_canonical(), prefix), entry);
    }
    let rows: Vec<_> = by_net
        .into_iter()
        .map(|((addr, prefix), entry)| {
            (Address(addr), prefix, &entry.mail, entry.language, entry.origin, entry.registered)
        })
        .collect();
    conn.insert("address (net, prefix, mail, language, origin, registered)", &rows, then)?;
    Ok(())
}

pub(crate) fn remove(session: &mut Session<'_>, client: ClientNet) -> Result<bool, StoreError> {
    session.book.change(session.conn)?;
    let gone = session.conn.execute("DELETE FROM address WHERE net = ?1 AND prefix = ?2", network(client))?;
    Ok(gone > 0)
}
