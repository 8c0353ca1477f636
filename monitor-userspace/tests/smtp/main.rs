//! The delivery worker against mail servers: postfix's `smtp-sink`, and a scripted one for what that cannot do.

#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod encryption;
mod memory_outbox;
mod name_server;
mod odd_server;
mod opensmtpd;
mod peer;
mod replies;
mod scripted_server;
mod worker;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use monitor_core::{
    config,
    domain::{Language, OutageId, UnixMs},
    mail::{Letter, sample},
};
use ringback::notify::{Delivery, Mail, OutboxWorker};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::{
    memory_outbox::MemoryOutbox,
    opensmtpd::OpenSmtpd,
    peer::SmtpSink,
    scripted_server::{Encryption, ScriptedServer},
};

/// Settings with short pauses and no names from the system's DNS.
fn settings(server: SocketAddr) -> config::Notify {
    config::Notify {
        smtp: Some(format!("smtp://{server}")),
        from: "Ringback <ringback@gw.example.net>".to_owned(),
        retry: Duration::from_millis(40),
        retry_max: Duration::from_millis(160),
        connections: 2,
        reverse_dns: false,
        ..Default::default()
    }
}

/// How long a stop waits for letters on their way.
const FINISH: Duration = Duration::from_secs(2);

/// A worker that runs.
struct Post {
    outbox: MemoryOutbox,
    wake: Arc<Notify>,
    cancel: CancellationToken,
    task: JoinHandle<Result<(), monitor_store::StoreError>>,
}

impl Post {
    fn start(settings: &config::Notify, letters: impl IntoIterator<Item = Letter>) -> Self {
        let delivery = Delivery::of_mails(Mail::load(settings, Path::new("/nonexistent")).unwrap());
        Self::with(delivery, letters)
    }

    fn with(delivery: Delivery, letters: impl IntoIterator<Item = Letter>) -> Self {
        Self::of(delivery, MemoryOutbox::with(letters))
    }

    fn of(delivery: Delivery, outbox: MemoryOutbox) -> Self {
        let (wake, cancel) = (Arc::new(Notify::new()), CancellationToken::new());
        let worker = OutboxWorker::new(outbox.clone(), Arc::new(delivery), Arc::clone(&wake)).finish_within(FINISH);
        let task = tokio::spawn(worker.run(cancel.clone()));
        Self { outbox, wake, cancel, task }
    }

    async fn finished(&self) {
        self.outbox.until("no letter is open", |outbox| outbox.open() == 0).await;
    }

    /// The first letter, once the server has not taken it.
    async fn put_off(&self) -> memory_outbox::Row {
        self.outbox.until("put off", |outbox| !outbox.row(1).put_off().is_empty()).await;
        self.outbox.row(1)
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap().unwrap();
    }
}

// proves: F-15a F-20
#[tokio::test]
async fn each_client_gets_one_mail_from_the_null_sender() {
    let addr = peer::free_port();
    let sink = SmtpSink::start(addr, &[]);
    let post = Post::start(&settings(addr), (1..=250).map(sample::letter));
    post.finished().await;
    post.stop().await;
    let messages = sink.messages();
    let mut recipients: Vec<_> =
        messages.iter().map(|m| m.lines().find_map(|l| l.strip_prefix("X-Rcpt-Args: ")).unwrap()).collect();
    recipients.sort_unstable();
    let mut expected: Vec<_> = (1..=250).map(|id| format!("<client{id}@example.net>")).collect();
    expected.sort_unstable();
    assert_eq!(recipients, expected);
    for message in &messages {
        assert!(message.contains("X-Mail-Args: <>\n"), "{message}");
        assert!(message.contains("Subject: www.example.net (192.0.2.7) port 443 is reachable again\n"), "{message}");
    }
}

// proves: F-15a F-20
#[tokio::test]
async fn a_real_mail_server_delivers_one_mail_to_each_mailbox() {
    let addr = peer::free_port();
    let server = OpenSmtpd::start(addr);
    let services = vec![sample::service(17, 443), sample::service(18, 80), sample::service(19, 22)];
    let several = sample::letter_about(2, None, services);
    let japanese = sample::letter_about(3, Some(Language::Ja), vec![sample::service(17, 443)]);
    let post = Post::start(&settings(addr), [sample::letter(1), several, japanese]);
    post.finished().await;
    for (user, said) in [("client1", "port 443"), ("client2", "and 2 more"), ("client3", "=?utf-8?")] {
        let mails = server.mails(user, 1).await;
        assert_eq!(mails.len(), 1);
        assert!(server.log().contains(&format!("from=<> to=<{user}@example.net>")), "{}", server.log());
        assert!(mails[0].lines().any(|line| line.starts_with("Subject: ") && line.contains(said)), "{}", mails[0]);
    }
    post.stop().await;
}

#[tokio::test]
async fn a_test_mail_says_what_it_is() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let delivery = Delivery::of_mails(Mail::load(&settings(server.addr), Path::new("/nonexistent")).unwrap());
    let letter = sample::test_mail("me@example.net".to_owned(), None, UnixMs(1_800_000_000_000));
    delivery.deliver_now(&letter).await.unwrap();
    assert!(server.taken()[0].data.contains("Subject: ringback-test-mail.invalid (192.0.2.7)"));
    let nowhere = Delivery::of_mails(Mail::load(&settings(peer::free_port()), Path::new("/nonexistent")).unwrap());
    let error = nowhere.deliver_now(&letter).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect"), "{error}");
}

// proves: F-16
#[tokio::test]
async fn a_name_from_reverse_dns_is_told_and_kept() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let dns = name_server::start().await;
    let mut nameless = sample::letter(1);
    nameless.services_mut()[0].server_name = None;
    let settings = config::Notify { reverse_dns: true, dns_server: Some(dns), ..settings(server.addr) };
    let post = Post::start(&settings, [nameless]);
    post.finished().await;
    let taken = &server.taken()[0].data;
    assert!(taken.contains("Subject: www.example.net (192.0.2.7) port 443 is"), "{taken}");
    assert_eq!(post.outbox.names(), [(OutageId(17), "www.example.net".to_owned())]);
    post.stop().await;
}

// proves: F-15a
#[tokio::test]
async fn without_a_mail_server_mails_are_files() {
    let state = tempfile::tempdir().unwrap();
    let settings = config::Notify { smtp: None, ..settings(([127, 0, 0, 1], 1).into()) };
    let services = vec![sample::service(17, 443), sample::service(18, 80), sample::service(19, 22)];
    let letters = [sample::letter(1), sample::letter_about(2, Some(Language::Ja), services)];
    let post = Post::with(Delivery::of_mails(Mail::load(&settings, state.path()).unwrap()), letters);
    post.finished().await;
    post.stop().await;
    let files: Vec<_> = std::fs::read_dir(state.path().join("mail/new")).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        assert_eq!(file.extension().unwrap(), "eml");
        assert!(std::fs::read_to_string(file).unwrap().contains("\nAuto-Submitted: auto-generated\n"));
    }
}
