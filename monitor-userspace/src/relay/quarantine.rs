//! Mails that were refused: kept as files for people to look at, never acted upon.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use monitor_core::domain::UnixMs;

/// Files that are kept; the oldest go. Anybody can send mails to a mailbox.
const MOST: usize = 200;

/// The folder `refused` under the state folder.
#[derive(Clone, Debug)]
pub struct Quarantine {
    folder: PathBuf,
}

impl Quarantine {
    /// Makes nothing yet.
    #[must_use]
    pub fn below(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("refused") }
    }

    /// Writes the mail, durable when it returns; says where. Blocks.
    pub fn keep(&self, mail: &[u8], at: UnixMs) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        let path =
            (0..).map(|more| self.folder.join(format!("{:015}-{more:03}.eml", at.0))).find(|path| !path.exists());
        let path = path.unwrap_or_else(|| self.folder.join("refused.eml"));
        let unfinished = path.with_extension("tmp");
        let mut file = File::create(&unfinished)?;
        file.write_all(mail)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.folder)?.sync_all()?;
        self.forget_oldest()?;
        Ok(path)
    }

    fn forget_oldest(&self) -> io::Result<()> {
        let mut files = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.sort();
        let surplus = files.len().saturating_sub(MOST);
        files[..surplus].iter().try_for_each(fs::remove_file)
    }
}
