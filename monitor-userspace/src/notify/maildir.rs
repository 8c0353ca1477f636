//! The embedded default: each mail becomes a file in a Maildir, for a program or a person on this machine.
//!
//! A file is complete before it can be seen (written to `tmp`, synchronised, renamed into `new`), and its name is the
//! letter's stable key, so that a crash between writing it and recording that does not make a second file.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A Maildir.
#[derive(Clone, Debug)]
pub(super) struct Maildir {
    root: PathBuf,
}

impl Maildir {
    /// The Maildir at `root`; made at the first delivery.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// Writes `message` (line ends become LF, as in local mail files). Durable when it returns. Blocks.
    pub(super) fn deliver(&self, key: &str, message: &[u8]) -> io::Result<()> {
        for folder in ["tmp", "new", "cur"] {
            DirBuilder::new().recursive(true).mode(0o700).create(self.root.join(folder))?;
        }
        let name = format!("{key}.eml");
        let unfinished = self.root.join("tmp").join(&name);
        // What a crash in the middle of writing left, perhaps with other rights.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(&with_unix_line_ends(message))?;
        file.sync_all()?;
        fs::rename(&unfinished, self.root.join("new").join(name))?;
        File::open(self.root.join("new"))?.sync_all()
    }
}

fn with_unix_line_ends(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                bytes.extend_from_slice(line);
                bytes.push(b'\n');
            }
            None => bytes.extend_from_slice(line),
        }
    }
    bytes
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_letter_that_is_delivered_twice_is_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::new(dir.path().join("mail"));
        maildir.deliver("a.1", b"Subject: x\r\n\r\nold\r\n").unwrap();
        // What a crash in the middle of writing leaves behind does not stand in the way.
        fs::write(maildir.path().join("tmp/a.1.eml"), b"half").unwrap();
        maildir.deliver("a.1", b"Subject: x\r\n\r\nnew\r\n").unwrap();
        let files: Vec<_> =
            fs::read_dir(maildir.path().join("new")).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(fs::read(&files[0]).unwrap(), b"Subject: x\n\nnew\n");
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(maildir.path().join("tmp")).unwrap().count(), 0);
    }
}
