//! A POP3 server in Python that is wrong in the ways that a test wants, mail by mail.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{Attempt, Host, Process, wait_until};

const PORT: u16 = 1110;

/// A mail of it.
#[derive(Clone, Debug)]
pub struct ScriptedMail {
    /// What UIDL says.
    pub uid: String,
    /// What LIST says; absent: the truth.
    pub size: Option<String>,
    /// What RETR does: `fine`, `refused`, `chatty`, `nonsense`, `cut`, `no end`, `endless`, `bare dot`.
    pub manner: &'static str,
    /// What it holds.
    pub content: Vec<u8>,
}

impl ScriptedMail {
    /// A mail that is sent as it should be.
    #[must_use]
    pub fn fine(uid: &str, content: &[u8]) -> Self {
        Self { uid: uid.to_owned(), size: None, manner: "fine", content: content.to_vec() }
    }

    /// A mail of no use that is sent in another manner.
    #[must_use]
    pub fn wrong(uid: &str, manner: &'static str) -> Self {
        Self { manner, ..Self::fine(uid, b"Subject: x\n\nnothing\n") }
    }
}

/// Listens on 127.0.0.1 of a host; stopped on drop.
#[derive(Debug)]
pub struct ScriptedMailbox {
    _process: Process,
    folder: PathBuf,
}

impl ScriptedMailbox {
    /// Starts it with these mails; the commands in `refuses` are unknown to it.
    pub fn start(host: &Host, mails: &[ScriptedMail], refuses: &[&str]) -> Result<Self> {
        let folder = host.folder().join("scripted-mailbox");
        fs::create_dir_all(&folder)?;
        let mut script = Vec::new();
        for (index, mail) in mails.iter().enumerate() {
            let file = format!("mail{index}");
            fs::write(folder.join(&file), &mail.content)?;
            let size = mail.size.clone().unwrap_or_else(|| mail.content.len().to_string());
            script.push(json!({ "uid": mail.uid, "size": size, "manner": mail.manner, "file": file }));
        }
        fs::write(folder.join("script.json"), json!({ "mails": script, "refuses": refuses }).to_string())?;
        let program = include_str!("scripted_mailbox.py");
        let mut command = host.command("python3");
        command.args(["-c", program, &PORT.to_string()]).arg(&folder);
        let process = host.spawn("scripted-mailbox", &mut command)?;
        let address = ([127, 0, 0, 1], PORT).into();
        wait_until("the scripted mailbox accepts", Duration::from_secs(10), || {
            matches!(host.connect(None, address, Duration::from_secs(1)), Ok(Attempt::Connected))
        })
        .with_context(|| process.output())?;
        Ok(Self { _process: process, folder })
    }

    /// For `mailbox.pop3`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("pop3://127.0.0.1:{PORT}")
    }

    /// How often this was commanded: `QUIT`, `RETR mail0` for the first mail.
    #[must_use]
    pub fn count(&self, command: &str) -> usize {
        let commands = fs::read_to_string(self.folder.join("commands")).unwrap_or_default();
        commands.lines().filter(|line| line.trim_end() == command).count()
    }

    /// The mails that are deleted, by `mail0` for the first.
    #[must_use]
    pub fn deleted(&self) -> Vec<String> {
        let deleted = fs::read_to_string(self.folder.join("deleted")).unwrap_or_default();
        deleted.lines().map(ToOwned::to_owned).collect()
    }
}
