//! What gateways ask each other about attempts that seem silent, and the answers. No row is kept longer than a minute.

use std::time::Duration;

use monitor_core::{domain::UnixMs, outage::Question};

use super::columns::{Address, service};
use crate::{Gateway, StoreError, sql::Connection};

/// How long a question is shown to others: longer than any gateway waits for the answer, with clocks a second apart.
const OPEN: Duration = Duration::from_secs(5);

/// How long it is kept.
const KEPT: Duration = Duration::from_secs(60);

/// The questions that concern one gateway.
#[derive(Default)]
pub(crate) struct Questions {
    /// Asked by others, by number.
    pub(super) asked: Vec<(i64, Question)>,
    /// Asked by this gateway, and answered.
    pub(super) answered: Vec<(Question, UnixMs)>,
    /// The numbers of the answered ones.
    pub(super) done: Vec<i64>,
}

pub(crate) fn ask(conn: &Connection, gateway: &Gateway, questions: &[Question], now: UnixMs) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM question WHERE asked < ?1")?.execute([now.before(KEPT)])?;
    let rows: Vec<_> = questions
        .iter()
        .map(|question| {
            let Question { service, client, client_port, seq, since, attempts } = *question;
            (&gateway.name, now, Address(service.addr()), service.port(), client, client_port, seq, since, attempts)
        })
        .collect();
    conn.prepare_cached(
        "INSERT INTO question (gateway, asked, server, port, client, client_port, seq, since, attempts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute_each(&rows)?;
    Ok(())
}

pub(crate) fn read(conn: &Connection, gateway: &str, now: UnixMs) -> Result<Questions, StoreError> {
    let mut questions = Questions::default();
    conn.prepare_cached(
        "SELECT * FROM question WHERE (gateway <> ?1 AND asked >= ?2 AND well IS NULL) OR (gateway = ?1 AND well IS NOT NULL)
         ORDER BY id",
    )?
    .query_for_each((gateway, now.before(OPEN)), |row| {
        let question = Question {
            service: service(row)?,
            client: row.get("client")?,
            client_port: row.get("client_port")?,
            seq: row.get("seq")?,
            since: row.get("since")?,
            attempts: row.get("attempts")?,
        };
        let number: i64 = row.get("id")?;
        match row.get::<_, Option<UnixMs>>("well")? {
            Some(well) => {
                questions.answered.push((question, well));
                questions.done.push(number);
            }
            None => questions.asked.push((number, question)),
        }
        Ok(())
    })?;
    Ok(questions)
}

/// The first answer counts.
pub(crate) fn answer(conn: &Connection, known: &[(i64, UnixMs)]) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE question SET well = ?2 WHERE id = ?1 AND well IS NULL")?.execute_each(known)?;
    Ok(())
}

pub(crate) fn forget(conn: &Connection, numbers: &[i64]) -> Result<(), StoreError> {
    let rows: Vec<_> = numbers.iter().map(|number| [*number]).collect();
    conn.prepare_cached("DELETE FROM question WHERE id = ?1")?.execute_each(&rows)?;
    Ok(())
}
