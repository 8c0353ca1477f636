//! Notices by webhook: posted once, signed, and again until they are taken.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, WebhookServer, wait_until, webhook_server};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const PORT: u16 = 8443;

/// server1 fails and recovers; the webhook is at server2.
struct Story {
    lab: Lab,
    certificate: std::path::PathBuf,
}

impl Story {
    fn new() -> Result<Self> {
        let lab = Lab::builder().servers(2).build()?;
        let certificate = webhook_server::certificate(lab.server(2), &lab.folder().join("webhook"))?;
        Ok(Self { lab, certificate })
    }

    fn address(&self) -> SocketAddr {
        self.lab.server(2).service_v4(PORT)
    }

    fn config_with(&self, url: &str, trusted: &Path) -> Result<DaemonConfig> {
        let secret = self.lab.folder().join("webhook.secret");
        fs::write(&secret, format!("{}\n", webhook_server::SECRET))?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        Ok(DaemonConfig::new()
            .text("watch.syn_timeout", "500ms")
            .text("notify.retry", "300ms")
            .text("notify.retry_max", "1s")
            .table(&format!(
                "[[webhook]]\nname = 'pager'\nurl = '{url}'\nsecret_file = '{}'\nca_file = '{}'",
                secret.display(),
                trusted.display()
            ))
            .table("[[notice]]\nto = ['webhook:pager', 'ops@lab.test']\ngather = '0s'\npause = '0s'"))
    }

    fn config(&self) -> Result<DaemonConfig> {
        self.config_with(&format!("https://{}/in?key=1", self.address()), &self.certificate)
    }

    fn receiver(&self) -> Result<WebhookServer> {
        WebhookServer::https(self.lab.server(2), self.address(), &self.certificate)
    }

    /// server1 goes down; says which service.
    fn fail(&self, daemon: &Daemon<'_>) -> Result<SocketAddr> {
        let service = self.lab.server(1).service_v4(80);
        let nginx = HttpServer::start(self.lab.server(1), 80)?;
        assert_eq!(self.lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        drop(nginx);
        assert_eq!(self.lab.client(1).connect(None, service, LIMIT)?, Attempt::Refused);
        Ok(service)
    }
}

fn wait_for_posts(receiver: &WebhookServer, what: &str, is: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
    wait_until(what, LIMIT, || receiver.posts().is_ok_and(|posts| is(&posts)))
        .with_context(|| format!("{:#?}", receiver.posts()))?;
    receiver.posts()
}

fn delivered(daemon: &Daemon<'_>, count: u64) -> Result<()> {
    daemon.wait_for(&["status"], LIMIT, |status| {
        status["outbox"]["delivered"] == count && status["outbox"]["queued"] == 0
    })?;
    Ok(())
}

// proves: B-1a
#[test]
fn opening_and_end_are_posted_over_https_with_a_signature_that_others_can_check() -> Result<()> {
    let story = Story::new()?;
    let receiver = story.receiver()?;
    let daemon = Daemon::start(story.lab.gateway(), story.config()?)?;
    let service = story.fail(&daemon)?;
    wait_for_posts(&receiver, "the opening is posted", |posts| posts.len() == 1)?;
    let _nginx = HttpServer::start(story.lab.server(1), 80)?;
    assert_eq!(story.lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    let posts = wait_for_posts(&receiver, "the end is posted", |posts| posts.len() == 2)?;
    for (post, event) in posts.iter().zip(["opened", "ended"]) {
        assert_eq!((&post["valid"], &post["path"]), (&Value::from(true), &Value::from("/in?key=1")), "{post:#}");
        assert_eq!(post["type"], "application/json");
        let told = &post["body"]["events"][0];
        assert_eq!(told["event"], event, "{post:#}");
        assert_eq!((&told["server"], &told["port"]), (&service.ip().to_string().into(), &80.into()), "{post:#}");
        assert_eq!((&told["evidence"], &told["clients"]), (&"refused".into(), &1.into()), "{post:#}");
    }
    assert_ne!(posts[0]["id"], posts[1]["id"]);
    // People are told beside it.
    delivered(&daemon, 4)?;
    assert_eq!(daemon.maildir().mails()?.len(), 2);
    // An operator can try it.
    let said = daemon.ringback(&["test-mail", "webhook:pager"])?;
    assert!(said.status.success(), "{said:?}");
    let posts = wait_for_posts(&receiver, "the test is posted", |posts| posts.len() == 3)?;
    assert_eq!((&posts[2]["valid"], &posts[2]["body"]["events"]), (&true.into(), &Value::Array(Vec::new())));
    let said = daemon.ringback(&["test-mail", "webhook:other"])?;
    assert!(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains("no [[webhook]]"), "{said:?}");
    Ok(())
}

// proves: B-1a
#[test]
fn what_is_not_taken_is_posted_again_under_the_same_id_whatever_kills_the_daemon() -> Result<()> {
    let story = Story::new()?;
    let receiver = story.receiver()?;
    receiver.answer(500)?;
    let mut daemon = Daemon::start(story.lab.gateway(), story.config()?)?;
    story.fail(&daemon)?;
    wait_for_posts(&receiver, "two tries", |posts| posts.len() >= 2)?;
    let status = daemon.status()?;
    assert!(status["problems"].to_string().contains("500 Internal Server Error"), "{status:#}");
    daemon.kill9()?;
    // It hangs up in place of an answer.
    receiver.answer(0)?;
    daemon.launch()?;
    let before = receiver.posts()?.len();
    wait_for_posts(&receiver, "a try of the next daemon", |posts| posts.len() > before)?;
    receiver.answer_after_hints(204)?;
    let posts = wait_for_posts(&receiver, "it is taken", |posts| posts.iter().any(|post| post["status"] == 204))?;
    delivered(&daemon, 2)?;
    assert!(posts.iter().all(|post| post["id"] == posts[0]["id"] && post["body"] == posts[0]["body"]), "{posts:#?}");
    assert!(posts.iter().all(|post| post["valid"] == true), "signed anew at each try: {posts:#?}");
    assert_eq!(receiver.posts()?.iter().filter(|post| post["status"] == 204).count(), 1, "taken is taken");
    // Mail was not held up.
    assert_eq!(daemon.maildir().mails()?.len(), 1);
    Ok(())
}

// proves: B-1a
#[test]
fn a_receiver_that_is_away_is_waited_for_and_one_that_is_gone_for_good_is_not() -> Result<()> {
    let story = Story::new()?;
    let daemon = Daemon::start(story.lab.gateway(), story.config()?)?;
    let service = story.fail(&daemon)?;
    daemon.wait_for(&["status"], LIMIT, |status| status["problems"].to_string().contains("cannot connect to"))?;
    let receiver = story.receiver()?;
    wait_for_posts(&receiver, "the opening is posted", |posts| posts.len() == 1)?;
    delivered(&daemon, 2)?;
    receiver.answer(410)?;
    let _nginx = HttpServer::start(story.lab.server(1), 80)?;
    assert_eq!(story.lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    let status = daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["dead"] == 1)?;
    let dead = &status["dead_letters"][0];
    assert_eq!((&dead["to"], &dead["service"]), (&"webhook:pager".into(), &Value::Null), "{status:#}");
    assert!(dead["reason"].as_str().is_some_and(|reason| reason.contains("410 Gone")), "{status:#}");
    assert_eq!(receiver.posts()?.len(), 2);
    Ok(())
}

// proves: B-1a
#[test]
fn nothing_is_posted_to_whom_the_certificate_does_not_prove() -> Result<()> {
    let story = Story::new()?;
    let other = webhook_server::certificate(story.lab.server(1), &story.lab.folder().join("other"))?;
    // Of a root that is not trusted, and, trusted, of another host.
    for (shown, trusted) in [(&story.certificate, &other), (&other, &other)] {
        let receiver = WebhookServer::https(story.lab.server(2), story.address(), shown)?;
        let config = story.config_with(&format!("https://{}/", story.address()), trusted)?;
        let daemon = Daemon::start(story.lab.gateway(), config)?;
        story.fail(&daemon)?;
        let refused = |status: &Value| status["problems"].to_string().contains("TLS: invalid peer certificate");
        daemon.wait_for(&["status"], LIMIT, refused)?;
        assert_eq!(receiver.posts()?, Vec::<Value>::new());
    }
    Ok(())
}

// proves: B-1a
#[test]
fn in_clear_it_stays_on_this_machine() -> Result<()> {
    let story = Story::new()?;
    let receiver = WebhookServer::http(story.lab.gateway(), "127.0.0.1:8480".parse()?)?;
    let config = story.config_with("http://127.0.0.1:8480/in", &story.certificate)?;
    let daemon = Daemon::start(story.lab.gateway(), config)?;
    story.fail(&daemon)?;
    let posts = wait_for_posts(&receiver, "the opening is posted", |posts| posts.len() == 1)?;
    assert_eq!(posts[0]["valid"], true);
    Ok(())
}

// proves: B-1a
#[test]
fn a_reload_takes_over_address_and_secret_and_a_mistake_leaves_both() -> Result<()> {
    let story = Story::new()?;
    let receiver = story.receiver()?;
    let url = |path: &str| format!("https://{}/{path}", story.address());
    let config = story.config_with(&url("old"), &story.certificate)?;
    let secret = story.lab.folder().join("webhook.secret");
    fs::write(&secret, format!("whsec_{}\n", "b".repeat(32)))?;
    let daemon = Daemon::start(story.lab.gateway(), config)?;
    let service = story.fail(&daemon)?;
    let posts = wait_for_posts(&receiver, "the opening is posted", |posts| posts.len() == 1)?;
    assert_eq!((&posts[0]["path"], &posts[0]["valid"]), (&"/old".into(), &false.into()), "{posts:#?}");
    let reload = |path: &str, says: &str| {
        daemon.write_config(story.config_with(&url(path), &story.certificate)?)?;
        daemon.sighup()?;
        wait_until(says, LIMIT, || daemon.log().contains(says)).with_context(|| daemon.log())
    };
    // The right secret, and an address that is none.
    reload(" ", "not reloaded,")?;
    reload("new", " reloaded\n")?;
    let _nginx = HttpServer::start(story.lab.server(1), 80)?;
    assert_eq!(story.lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    let posts = wait_for_posts(&receiver, "the end is posted", |posts| posts.len() == 2)?;
    assert_eq!((&posts[1]["path"], &posts[1]["valid"]), (&"/new".into(), &true.into()), "{posts:#?}");
    Ok(())
}
