//! Files with secrets: what they hold, and whether they hold it safely.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use monitor_core::{config::Mistakes, domain::byte_order_mark::without_mark};

/// A file with a secret: there, readable, long enough, and nobody else's to read.
pub(super) fn check(mistakes: &mut Mistakes, key: &str, file: &Path, shortest: usize) {
    let shown = file.display();
    let what = match fs::metadata(file).and_then(|metadata| Ok((metadata, fs::read_to_string(file)?))) {
        Err(error) => format!("{shown} cannot be read: {error}"),
        Ok((metadata, _)) if metadata.mode() & 0o007 != 0 => {
            format!("{shown} can be read by everybody: chmod 640 {shown}")
        }
        Ok((_, text)) if without_mark(&text).trim_end().len() < shortest => {
            format!("the secret in {shown} is shorter than {shortest} characters")
        }
        Ok(_) => return,
    };
    mistakes.push((key.to_owned(), what));
}
