//! Writes many rows with few statements, and reads many rows with few of them in memory.
//!
//! Each statement costs a round trip to the server, and a fixed price on either engine. So rows are inserted by the
//! hundred: `INSERT INTO … VALUES (…), (…), …` is plain SQL on both.

use std::{collections::HashSet, fmt::Write as _, hash::Hash};

use super::{Connection, Error, Params, Row, Value, connection::Statement};

/// How many rows a statement may have, most first: each is prepared once. 512 rows of 12 columns stay below the number
/// of parameters that either engine takes.
const SIZES: [usize; 4] = [512, 64, 8, 1];

impl Connection {
    /// Inserts the rows, in order. `into`: the table and its columns. `then`: what follows the rows, such as
    /// `ON CONFLICT …`; a `DO UPDATE` may meet no two rows of the same key.
    pub(crate) fn insert<P: Params>(&self, into: &str, rows: &[P], then: &str) -> Result<(), Error> {
        in_chunks(self, into, rows, then, |statement, chunks| statement.execute_each(chunks).map(drop))
    }

    /// The same with `RETURNING …` at the end of `then`: what came back, in no order.
    pub(crate) fn insert_returning<P: Params, T>(
        &self,
        into: &str,
        rows: &[P],
        then: &str,
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::with_capacity(rows.len());
        in_chunks(self, into, rows, then, |statement, chunks| {
            found.extend(statement.query_each(chunks, &read)?.into_iter().flatten());
            Ok(())
        })?;
        Ok(found)
    }

    /// Inserts those rows whose key (`unique`, columns of a unique index) is not there yet; says of each whether it was
    /// new. No two of them may have the same key.
    pub(crate) fn insert_new<P: Params, K: Hash + Eq>(
        &self,
        into: &str,
        rows: &[P],
        unique: &str,
        key: impl Fn(&P) -> K,
        read: impl Fn(&Row<'_>) -> Result<K, Error>,
    ) -> Result<Vec<bool>, Error> {
        let then = format!("ON CONFLICT ({unique}) DO NOTHING");
        match self {
            // What comes back costs more here than a statement does.
            Self::Sqlite(_) => {
                let Some(columns) = rows.first().map(|row| row.values().len()) else { return Ok(Vec::new()) };
                let inserted = self.prepare_cached(&statement(into, columns, 1, &then))?.execute_each(rows)?;
                Ok(inserted.into_iter().map(|inserted| inserted > 0).collect())
            }
            Self::Postgres(_) => {
                let new: HashSet<K> = self
                    .insert_returning(into, rows, &format!("{then} RETURNING {unique}"), read)?
                    .into_iter()
                    .collect();
                Ok(rows.iter().map(|row| new.contains(&key(row))).collect())
            }
        }
    }

    /// What the query finds, in pages of this many rows; `take` may use the connection for anything but the query's own
    /// tables. In a transaction, and only one query at a time may go by this name.
    pub(crate) fn query_pages<T, E: From<Error>>(
        &self,
        name: &str,
        sql: &str,
        params: impl Params,
        rows: usize,
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
        mut take: impl FnMut(Vec<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Sqlite(_) => {
                let (mut page, mut taken) = (Vec::with_capacity(rows), Ok(()));
                let mut select = self.prepare_cached(sql)?;
                select.query_for_each(params, |row| {
                    if taken.is_ok() {
                        page.push(read(row)?);
                        if page.len() == rows {
                            taken = take(std::mem::take(&mut page));
                        }
                    }
                    Ok(())
                })?;
                taken?;
                take(page)
            }
            // A query for each page, by the last row of the one before, may sort all the rest each time: the server
            // knows nothing yet of the size of a table that has just been filled.
            Self::Postgres(_) => {
                self.execute(&format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}"), params)?;
                loop {
                    let page: Vec<T> = self
                        .prepare_cached(&format!("FETCH {rows} FROM {name}"))?
                        .query_map((), &read)?
                        .collect::<Result<_, _>>()?;
                    let last = page.len() < rows;
                    take(page)?;
                    if last {
                        break;
                    }
                }
                Ok(self.execute_batch(&format!("CLOSE {name}"))?)
            }
        }
    }
}

fn in_chunks<P: Params>(
    conn: &Connection,
    into: &str,
    mut rows: &[P],
    then: &str,
    mut run: impl FnMut(&mut Statement<'_>, &[Chunk<'_, P>]) -> Result<(), Error>,
) -> Result<(), Error> {
    let Some(columns) = rows.first().map(|row| row.values().len()) else { return Ok(()) };
    for size in SIZES {
        let (chunks, rest) = rows.split_at(rows.len() - rows.len() % size);
        rows = rest;
        if !chunks.is_empty() {
            let chunks: Vec<_> = chunks.chunks_exact(size).map(Chunk).collect();
            run(&mut conn.prepare_cached(&statement(into, columns, size, then))?, &chunks)?;
        }
    }
    Ok(())
}

fn statement(into: &str, columns: usize, rows: usize, then: &str) -> String {
    let mut sql = format!("INSERT INTO {into} VALUES ");
    for parameter in 1..=rows * columns {
        let (before, after) = match (parameter % columns, columns) {
            (1, 1) | (0, 1) => ("(", "),"),
            (1, _) => ("(", ","),
            (0, _) => ("", "),"),
            _ => ("", ","),
        };
        // Writing to a string cannot fail.
        let _ = write!(sql, "{before}?{parameter}{after}");
    }
    sql.pop();
    sql.push(' ');
    sql.push_str(then);
    sql
}

/// Rows that go in together.
struct Chunk<'r, P>(&'r [P]);

impl<P: Params> Params for Chunk<'_, P> {
    fn values(&self) -> Vec<Value<'_>> {
        self.0.iter().flat_map(Params::values).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::statement;

    #[test]
    fn a_statement_names_each_parameter_once() {
        assert_eq!(
            statement("t (a, b)", 2, 2, "ON CONFLICT DO NOTHING"),
            "INSERT INTO t (a, b) VALUES (?1,?2),(?3,?4) ON CONFLICT DO NOTHING"
        );
        assert_eq!(statement("t (a)", 1, 2, ""), "INSERT INTO t (a) VALUES (?1),(?2) ");
    }
}
