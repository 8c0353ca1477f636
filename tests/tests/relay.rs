//! Someone else delivers: a relay on the recovered server, or on a management station. OpenSMTPD and Dovecot are real.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, MailHost, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const KEY: &str = "the key that the gateway and its relay share";

/// Two clients that the relay knows, one that nobody knows; server1 fails, server2 is the mail host, server3 a management station.
struct Story {
    lab: Lab,
    mail: MailHost,
}

impl Story {
    fn new() -> Result<Self> {
        let lab = Lab::builder().clients(3).servers(3).build()?;
        let mail = MailHost::start(lab.server(2))?;
        Ok(Self { lab, mail })
    }

    fn key_file(&self, name: &str, key: &str) -> Result<PathBuf> {
        let file = self.lab.folder().join(name);
        fs::write(&file, key)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }

    fn service(&self) -> SocketAddr {
        self.lab.server(1).service_v4(80)
    }

    /// Mail out by the mail host, mail in from this mailbox of it.
    fn by_mail(&self, config: DaemonConfig, user: &str) -> Result<DaemonConfig> {
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
    fn gateway(&self, fallback: &str) -> Result<DaemonConfig> {
        let key = self.key_file("key", KEY)?;
        let config = DaemonConfig::new()
            .text("watch.syn_timeout", "500ms")
            .text("recovery.trap_listen", "0.0.0.0:162")
            .address(self.lab.client(3).v4(), "fallback@lab.test");
        Ok(self.by_mail(config, "gateway")?.table(&format!(
            "[[relay]]\nserver = '{}'\nmail = 'relay@lab.test'\nfallback = '{fallback}'\ngateway = 'gw1'\n\
             keys = [{{ id = 'one', file = '{}' }}]",
            self.lab.server(1).v4(),
            key.display()
        )))
    }

    fn relay(&self) -> Result<DaemonConfig> {
        let key = self.key_file("key", KEY)?;
        let config = DaemonConfig::new()
            .address(self.lab.client(1).v4(), "sato@lab.test")
            .address(self.lab.client(2).v4(), "suzuki@lab.test");
        Ok(self.by_mail(config, "relay")?.table(&format!(
            "[[gateway]]\nname = 'gw1'\nreceipts = 'gateway@lab.test'\nkeys = [{{ id = 'one', file = '{}' }}]",
            key.display()
        )))
    }

    /// All three clients wait.
    fn fail(&self, daemon: &Daemon<'_>) -> Result<()> {
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
    fn recover(&self, daemon: &Daemon<'_>) -> Result<HttpServer> {
        let nginx = HttpServer::start(self.lab.server(1), 80)?;
        assert_eq!(self.lab.client(3).connect(None, self.service(), LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["status"], LIMIT, |status| status["outages"] == Value::Array(Vec::new()))?;
        Ok(nginx)
    }

    fn wait_for_mail(&self, user: &str, count: usize) -> Result<()> {
        wait_until(&format!("{user} has {count} mails"), LIMIT, || {
            self.mail.mails(user).is_ok_and(|mails| mails.len() == count)
        })
        .with_context(|| self.mail.log())
    }

    /// Each client that the relay knows has one mail, and nobody else has any.
    fn assert_each_told_once(&self) -> Result<()> {
        for user in ["sato", "suzuki"] {
            self.wait_for_mail(user, 1)?;
            let mails = self.mail.mails(user)?;
            assert!(mails[0].text.contains(&self.lab.server(1).v4().to_string()), "{}", mails[0].text);
        }
        assert_eq!(self.mail.mails("fallback")?.len(), 0);
        Ok(())
    }
}

fn list_state<'a>(status: &'a Value) -> &'a Value {
    &status["lists"][0]["state"]
}

// proves: F-17 F-19 F-20
#[test]
fn the_recovered_server_fetches_the_list_and_tells_each_client_once() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    story.fail(&gateway)?;
    let _nginx = story.recover(&gateway)?;
    // One list, to the relay, in place of letters; nobody waits any more.
    story.wait_for_mail("relay", 1)?;
    let status = gateway.status()?;
    assert_eq!(list_state(&status), "pending", "{status:#}");
    assert_eq!(status["lists"][0]["clients"], 3);
    assert_eq!(status["outbox"]["delivered"], 1);
    assert_eq!(gateway.json(&["waiting"])?, Value::Array(Vec::new()));
    let list = &story.mail.mails("relay")?[0].text;
    for client in story.lab.clients() {
        assert!(list.contains(&format!("  {}\n", client.v4())), "{list}");
    }
    // The server is up again, and so is its relay: at its start it looks into its mailbox.
    let relay = Daemon::start_relay(story.lab.server(1), story.relay()?)?;
    story.assert_each_told_once()?;
    story.wait_for_mail("relay", 0)?;
    let status = gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "delivered")?;
    assert_eq!(status["lists"][0]["told"], 2, "client3 is on no record: {status:#}");
    assert_eq!(relay.json(&["waiting"])?, Value::Array(Vec::new()));
    story.wait_for_mail("gateway", 0)?;
    assert_eq!(relay.status()?["health"], "ok");
    Ok(())
}
