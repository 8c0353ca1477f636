//! Reads a file that people make: as UTF-8, without a byte order mark, or with a line that says what it is instead.

use std::{fs, io, path::Path};

use monitor_core::domain::text_file::text_of;

/// The text of the file at `path`.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    of(&fs::read(path)?)
}

/// The same of bytes that were read already.
pub(crate) fn of(bytes: &[u8]) -> io::Result<String> {
    text_of(bytes).map(ToOwned::to_owned).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))
}
