//! The address book as it is read, and the copy in the writer's memory.

use monitor_core::mail::{AddressBook, AddressEntry};

use super::{super::StoreError, columns::client_net};
use crate::sql::{Connection, Error, Row};

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
