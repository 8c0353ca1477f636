//! What a transaction works with.

use super::book::BookCache;
use crate::sql::Connection;

/// What work on the writer may use.
pub(crate) struct Session<'a> {
    /// Inside a transaction.
    pub(crate) conn: &'a Connection,
    /// The address book, read at most once as long as it does not change.
    pub(crate) book: &'a mut BookCache,
}
