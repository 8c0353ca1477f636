//! The embedded default: mails as files of a Maildir under the state folder, when no mail server is configured.
//!
//! The file's name comes from the letter, so that a crash between writing and recording leaves one file, not two.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// A Maildir (tmp, new, cur).
#[derive(Clone, Debug)]
pub(super) struct Maildir {
    folder: PathBuf,
}

impl Maildir {
    /// The Maildir in `folder`, made if it is not there.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Ok(Self { folder: folder.to_path_buf() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a mail so that it is there whole or not at all, also after a power cut.
    pub(super) fn deliver(&self, name: &str, mail: &[u8]) -> io::Result<()> {
        let name = format!("{name}.eml");
        let (temporary, new) = (self.folder.join("tmp").join(&name), self.folder.join("new"));
        let mut file = File::create(&temporary)?;
        file.write_all(mail)?;
        file.sync_all()?;
        fs::rename(&temporary, new.join(&name))?;
        File::open(&new)?.sync_all()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::Maildir;

    #[test]
    fn the_same_letter_written_twice_is_one_mail() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(folder.path()).unwrap();
        maildir.deliver("7.10.0.1.5", b"half").unwrap();
        maildir.deliver("7.10.0.1.5", b"whole").unwrap();
        let files: Vec<_> =
            fs::read_dir(folder.path().join("new")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(fs::read(&files[0]).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }
}
