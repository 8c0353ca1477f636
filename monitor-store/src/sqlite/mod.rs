//! The embedded engine: SQLite, WAL, `synchronous=FULL`, one daemon per file.

mod lock;
mod migrations;
mod open;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, path::Path};

use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};

pub(super) use self::{
    lock::Lock,
    open::{read_only, writable},
};
use super::{
    StoreError,
    engine::{Error, Value, Wrong},
};

/// Makes the file's folder, and takes the lock of the file.
pub(super) fn lock(path: &Path) -> Result<Lock, StoreError> {
    open::make_folder(path)?;
    Lock::take(path)
}

/// A column's value; the schema has no floating-point numbers.
pub(super) fn value(value: ValueRef<'_>) -> Result<Value<'_>, Wrong> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(|_| Wrong)?),
        ValueRef::Blob(bytes) => Value::Blob(Cow::Borrowed(bytes)),
        ValueRef::Real(_) => return Err(Wrong),
    })
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Error::from(error).into()
    }
}
