//! Files with secrets: what they hold, and whether they hold it safely.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use monitor_core::config::SecretError;

use crate::text_file;

/// The text of a file with a secret: there, readable, long enough, and nobody else's to read.
pub(crate) fn read(path: &Path, shortest: usize) -> Result<String, SecretError> {
    let open = || {
        let mut file = File::open(path)?;
        let mode = file.metadata()?.mode();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, io::Error>((mode, text_file::of(&bytes)?))
    };
    let (mode, text) = open().map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
    if mode & 0o007 != 0 {
        return Err(SecretError::Public(path.to_owned()));
    }
    // Editors and `echo` end the line; no secret does.
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim_end().len() < shortest {
        return Err(SecretError::Short { path: path.to_owned(), shortest });
    }
    Ok(text.to_owned())
}

/// The same of a password, which is one line.
pub(crate) fn read_line(path: &Path) -> Result<String, SecretError> {
    let text = read(path, 0)?;
    if text.contains(['\r', '\n']) { Err(SecretError::Lines(path.to_owned())) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    use super::{read, read_line};

    #[test]
    fn a_secret_is_there_long_enough_and_nobody_elses_to_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "four\n").unwrap();
        assert_eq!(read(file.path(), 4).unwrap(), "four");
        assert!(read(file.path(), 5).unwrap_err().to_string().contains("is shorter than 5 characters"));
        fs::write(file.path(), "\u{feff}four\r\n").unwrap();
        assert_eq!(read_line(file.path()).unwrap(), "four");
        fs::write(file.path(), "four\nfive\n").unwrap();
        assert!(read_line(file.path()).unwrap_err().to_string().contains("has more than one line"));
        fs::write(file.path(), "f\0o\0u\0r\0").unwrap();
        assert!(
            read(file.path(), 0)
                .unwrap_err()
                .to_string()
                .ends_with("cannot be read: it is UTF-16: save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")")
        );
        fs::write(file.path(), "four\n").unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(0o604)).unwrap();
        assert!(read(file.path(), 4).unwrap_err().to_string().contains("can be read by everybody"));
        assert!(read("/absent".as_ref(), 0).unwrap_err().to_string().starts_with("/absent cannot be read"));
    }
}
