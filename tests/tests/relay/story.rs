//! A gateway, a mail host, a relay: what every story of relays needs.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, MailHost, wait_until};
use serde_json::Value;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);
const KEY: &str = "the key that the gateway and its relay share";

/// Two clients that the relay knows, one that nobody knows; server1 fails, server2 is the mail host, server3 a management station.
pub(crate) struct Story {
    pub(crate) lab: Lab,
    pub(crate) mail: MailHost,
}

impl Story {
    pub(crate) fn new() -> Result<Self> {
        let lab = Lab::builder().clients(3).servers(3).build()?;
        let mail = MailHost::start(lab.server(2))?;
        Ok(Self { lab, mail })
    }

    pub(crate) fn key_file(&self, name: &str, key: &str) -> Result<PathBuf> {
        let file = self.lab.folder().join(name);
        fs::write(&file, key)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }

    pub(crate) fn service(&self) -> SocketAddr {
        self.lab.server(1).service_v4(80)
    }

    /// Mail out by the mail host, mail in from this mailbox of it.
    pub(crate) fn by_mail(&self, config: DaemonConfig, user: &str) -> Result<DaemonConfig> {
        Ok(config
            .text("notify.smtp", &self.mail.smtp())
            .text("notify.from", &format!("{user}@lab.test"))
            .text("notify.retry", "300ms")
            .text("notify.retry_max", "1s")
            .text("mailbox.pop3", &self.mail.pop3())
            .text("mailbox.pop3_user", user)
            .text("mailbox.pop3_password_file", &self.mail.password_file()?.display().to_string())
            .text("mailbox.pop3_ca_file", &self.mail.certificate().display().to_string())
            .text("mailbox.poll", "300ms"))
    }

    /// A gateway whose own address book has nobody but client3, under an address that only a fallback would use.
    pub(crate) fn gateway(&self, fallback: &str) -> Result<DaemonConfig> {
        self.gateway_with(fallback, &[("one", KEY)])
    }

    /// The same with these keys; the first signs.
    pub(crate) fn gateway_with(&self, fallback: &str, keys: &[(&str, &str)]) -> Result<DaemonConfig> {
        let config = DaemonConfig::new()
            .text("watch.syn_timeout", "500ms")
            .text("recovery.trap_listen", "0.0.0.0:162")
            .address(self.lab.client(3).v4(), "fallback@lab.test");
        Ok(self.by_mail(config, "gateway")?.table(&format!(
            "[[relay]]\nserver = '{}'\nmail = 'relay@lab.test'\nfallback = '{fallback}'\ngateway = 'gw1'\n{}",
            self.lab.server(1).v4(),
            self.keys(keys)?
        )))
    }

    /// The relay's, with a book that has client1 and client2.
    pub(crate) fn relay(&self) -> Result<DaemonConfig> {
        self.relay_with(&[("one", KEY)])
    }

    /// The same with these keys; the first signs receipts.
    pub(crate) fn relay_with(&self, keys: &[(&str, &str)]) -> Result<DaemonConfig> {
        let config = DaemonConfig::new()
            .address(self.lab.client(1).v4(), "sato@lab.test")
            .address(self.lab.client(2).v4(), "suzuki@lab.test");
        Ok(self
            .by_mail(config, "relay")?
            .table(&format!("[[gateway]]\nname = 'gw1'\nreceipts = 'gateway@lab.test'\n{}", self.keys(keys)?)))
    }

    /// `keys = […]`, each in a file of its own.
    fn keys(&self, keys: &[(&str, &str)]) -> Result<String> {
        let entry = |(id, key): &(&str, &str)| {
            let file = self.key_file(&format!("key-{id}"), key)?;
            Ok(format!("{{ id = '{id}', file = '{}' }}", file.display()))
        };
        Ok(format!("keys = [{}]", keys.iter().map(entry).collect::<Result<Vec<_>>>()?.join(", ")))
    }

    /// All three clients wait.
    pub(crate) fn fail(&self, daemon: &Daemon<'_>) -> Result<()> {
        let nginx = HttpServer::start(self.lab.server(1), 80)?;
        assert_eq!(self.lab.client(1).connect(None, self.service(), LIMIT)?, Attempt::Connected);
        let service = self.service().to_string();
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service))?;
        drop(nginx);
        for client in self.lab.clients() {
            assert_eq!(client.connect(None, self.service(), LIMIT)?, Attempt::Refused);
        }
        daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(|lines| lines.len() == 3))?;
        Ok(())
    }

    /// It answers again.
    pub(crate) fn recover(&self, daemon: &Daemon<'_>) -> Result<HttpServer> {
        let nginx = HttpServer::start(self.lab.server(1), 80)?;
        assert_eq!(self.lab.client(3).connect(None, self.service(), LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["status"], LIMIT, |status| status["outages"] == Value::Array(Vec::new()))?;
        Ok(nginx)
    }

    pub(crate) fn wait_for_mail(&self, user: &str, count: usize) -> Result<()> {
        wait_until(&format!("{user} has {count} mails"), LIMIT, || {
            self.mail.mails(user).is_ok_and(|mails| mails.len() == count)
        })
        .with_context(|| self.mail.log())
    }

    /// Each client that the relay knows has one mail, and nobody else has any.
    pub(crate) fn assert_each_told_once(&self) -> Result<()> {
        for user in ["sato", "suzuki"] {
            self.wait_for_mail(user, 1)?;
            let mails = self.mail.mails(user)?;
            assert!(mails[0].text.contains(&self.lab.server(1).v4().to_string()), "{}", mails[0].text);
        }
        assert_eq!(self.mail.mails("fallback")?.len(), 0);
        Ok(())
    }
}

/// What became of the latest list.
pub(crate) fn list_state(status: &Value) -> &Value {
    &status["lists"][0]["state"]
}
