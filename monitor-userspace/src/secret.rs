//! Files with secrets: what they hold, and whether they hold it safely.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use monitor_core::{config::SecretError, domain::byte_order_mark::without_mark};

/// The text of a file with a secret: there, readable, long enough, and nobody else's to read.
pub(crate) fn read(path: &Path, shortest: usize) -> Result<String, SecretError> {
    let open = || {
        let mut file = File::open(path)?;
        let mode = file.metadata()?.mode();
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok::<_, io::Error>((mode, text))
    };
    let (mode, text) = open().map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
    if mode & 0o007 != 0 {
        return Err(SecretError::Public(path.to_owned()));
    }
    let text = without_mark(&text);
    if text.trim_end().len() < shortest {
        return Err(SecretError::Short { path: path.to_owned(), shortest });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use super::read;

    #[test]
    fn a_secret_is_there_long_enough_and_nobody_elses_to_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "four\n").unwrap();
        assert_eq!(read(file.path(), 4).unwrap(), "four\n");
        assert!(read(file.path(), 5).unwrap_err().to_string().contains("is shorter than 5 characters"));
        fs::set_permissions(file.path(), Permissions::from_mode(0o604)).unwrap();
        assert!(read(file.path(), 4).unwrap_err().to_string().contains("can be read by everybody"));
        assert!(read("/absent".as_ref(), 0).unwrap_err().to_string().starts_with("/absent cannot be read"));
    }
}
