//! The address book's table, and the book in the writer's memory.

use std::collections::BTreeMap;

use monitor_core::{
    domain::ClientNet,
    mail::{AddressBook, AddressEntry, Origin},
};

use super::{
    super::StoreError,
    columns::{Address, client_net, network},
};
use crate::{
    sql::{Connection, Error, Row},
    writer::Session,
};

/// The book as the writer last read it, and its count of changes then: other processes may change a shared book.
#[derive(Default)]
pub(crate) struct BookCache(Option<(i64, AddressBook)>);

impl BookCache {
    /// Forgets the copy: what the writer read may have been rolled back.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Says that the table is about to change, so that every process reads it again.
    pub(super) fn change(&mut self, conn: &Connection) -> Result<(), StoreError> {
        self.forget();
        conn.execute("UPDATE shared SET book = book + 1", ())?;
        Ok(())
    }

    pub(crate) fn load(&mut self, conn: &Connection) -> Result<&AddressBook, StoreError> {
        let now = conn.query_row("SELECT book FROM shared", (), |row| row.get(0))?;
        let book = match self.0.take() {
            Some((then, book)) if then == now => book,
            _ => read_book(conn)?,
        };
        Ok(&self.0.insert((now, book)).1)
    }
}

const ENTRIES: &str = "SELECT net, prefix, mail, language, origin, registered FROM address ORDER BY net, prefix";

fn entry(row: &Row<'_>) -> Result<AddressEntry, Error> {
    Ok(AddressEntry {
        client: client_net(row)?,
        mail: row.get("mail")?,
        language: row.get("language")?,
        origin: row.get("origin")?,
        registered: row.get("registered")?,
    })
}

fn read_book(conn: &Connection) -> Result<AddressBook, StoreError> {
    let mut select = conn.prepare_cached(ENTRIES)?;
    let mut book = AddressBook::default();
    // Row by row, so that the rows and the book are not in memory at the same time.
    select.query_for_each((), |row| {
        book.insert(entry(row)?);
        Ok(())
    })?;
    Ok(book)
}

pub(crate) fn entries(conn: &Connection) -> Result<Vec<AddressEntry>, StoreError> {
    let mut select = conn.prepare_cached(ENTRIES)?;
    let rows = select.query_map((), entry)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

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
