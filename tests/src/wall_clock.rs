//! A wall clock that a test sets, for one program: libfaketime in front of the system's clocks. The kernel's own clocks stay
//! as they are, as they do when a real host's clock is set.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{Host, peers};

/// See the module.
#[derive(Debug)]
pub struct WallClock {
    file: PathBuf,
    library: PathBuf,
}

impl WallClock {
    /// A clock that is so far off the truth: `-3d`, `+2h`, `+0`.
    pub fn new(host: &Host, off: &str) -> Result<Self> {
        let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
        let library = peers::file(&format!("usr/lib/{triple}/faketime/libfaketime.so.1"));
        let library = library.context("libfaketime is not there: `cargo xtask setup --peers` fetches it")?;
        let clock = Self { file: host.folder().join("wall-clock"), library };
        clock.set(off)?;
        Ok(clock)
    }

    /// Sets it, as NTP or an operator does.
    pub fn set(&self, off: &str) -> Result<()> {
        // Renamed into place: a reader never sees half of it.
        let new = self.file.with_extension("new");
        fs::write(&new, off).and_then(|()| fs::rename(&new, &self.file)).context("cannot set the wall clock")
    }

    /// What stands in front of a program that goes by it.
    pub(crate) fn command(&self) -> Vec<String> {
        let settings = [
            format!("LD_PRELOAD={}", self.library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        ["env".to_owned()].into_iter().chain(settings).collect()
    }
}
