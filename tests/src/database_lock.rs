//! Another process that holds the database: nothing can be committed.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::Daemon;

/// Somebody who has the database locked; given up by [`DatabaseLock::release`] or on drop.
#[derive(Debug)]
pub struct DatabaseLock(Child);

impl DatabaseLock {
    /// Takes the lock of a daemon's database.
    pub fn take(daemon: &Daemon<'_>) -> Result<Self> {
        let script = "import sqlite3,sys; d=sqlite3.connect(sys.argv[1],isolation_level=None); d.execute('begin immediate'); print('locked',flush=True); sys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(daemon.state_dir().join("ringback.db"));
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        ensure!(line.trim() == "locked", "the database is not locked");
        Ok(Self(child))
    }

    /// Gives it up.
    pub fn release(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        self.0.wait()?;
        Ok(())
    }
}
