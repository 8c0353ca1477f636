//! Mails as they arrived: in a Maildir, or dumped by the sink.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// One mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The whole text, lines ended by LF.
    pub text: String,
}

impl Mail {
    pub(crate) fn new(raw: &[u8]) -> Self {
        Self { text: String::from_utf8_lossy(raw).replace("\r\n", "\n") }
    }

    /// The value of a header field, its continuation lines joined; the first of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let mut lines = self
            .head()
            .lines()
            .skip_while(|line| !line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name)));
        let mut value = lines.next()?.split_once(':')?.1.trim().to_owned();
        for more in lines.take_while(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(more.trim());
        }
        Some(value)
    }

    /// The address in `To:`, without name and brackets.
    #[must_use]
    pub fn to(&self) -> Option<String> {
        let to = self.header("To")?;
        let bare = to.rsplit_once('<').map_or(to.as_str(), |(_, rest)| rest);
        Some(bare.trim_end_matches('>').trim().to_owned())
    }

    /// What follows the header, still in its transfer encoding.
    #[must_use]
    pub fn body(&self) -> &str {
        self.text.split_once("\n\n").map_or("", |(_, body)| body)
    }

    fn head(&self) -> &str {
        self.text.split_once("\n\n").map_or(self.text.as_str(), |(head, _)| head)
    }
}

/// Reads a Maildir.
#[derive(Clone, Debug)]
pub struct Maildir {
    folder: PathBuf,
}

impl Maildir {
    /// The Maildir in `folder` or below it (the first folder that has a `new`); it may not exist yet.
    #[must_use]
    pub fn below(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Every delivered mail, oldest file name first.
    pub fn mails(&self) -> Result<Vec<Mail>> {
        let Some(maildir) = find_maildir(&self.folder) else { return Ok(Vec::new()) };
        let mut files = Vec::new();
        for part in ["cur", "new"] {
            let folder = maildir.join(part);
            if let Ok(entries) = fs::read_dir(&folder) {
                files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
            }
        }
        files.sort();
        let read = |file: &PathBuf| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        files.iter().map(|file| Ok(Mail::new(&read(file)?))).collect()
    }
}

fn find_maildir(folder: &Path) -> Option<PathBuf> {
    if folder.join("new").is_dir() {
        return Some(folder.to_owned());
    }
    let entries = fs::read_dir(folder).ok()?;
    entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir()).find_map(|entry| find_maildir(&entry.path()))
}

#[cfg(test)]
mod tests {
    use super::Mail;

    #[test]
    fn headers_are_unfolded_and_end_at_the_empty_line() {
        let mail = Mail::new(b"Subject: it is\r\n back\r\nTo: Sato <sato@example.test>\r\n\r\nFrom: nobody\r\n");
        assert_eq!(mail.header("subject").as_deref(), Some("it is back"));
        assert_eq!(mail.to().as_deref(), Some("sato@example.test"));
        assert_eq!(mail.header("From"), None);
        assert_eq!(mail.body(), "From: nobody\n");
    }
}
