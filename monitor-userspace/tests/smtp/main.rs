//! The delivery worker against mail servers: postfix's `smtp-sink`, and a scripted one for what that cannot do.

#![expect(clippy::unwrap_used, reason = "tests")]

mod memory_outbox;
mod name_server;
mod opensmtpd;
mod peer;
mod scripted_server;

use std::{io::Write, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use memory_outbox::MemoryOutbox;
use opensmtpd::OpenSmtpd;
use peer::SmtpSink;
use ringback::{
    config::{self, Language},
    notify::{Delivery, OutboxWorker, sample},
    outage::{OutageId, UnixMs},
    store::Letter,
};
use scripted_server::{AfterTheDot, Encryption, ScriptedServer};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

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

/// A worker that runs.
const FINISH: Duration = Duration::from_secs(2);

struct Post {
    outbox: MemoryOutbox,
    wake: Arc<Notify>,
    cancel: CancellationToken,
    task: JoinHandle<Result<(), ringback::store::StoreError>>,
}

impl Post {
    fn start(settings: &config::Notify, letters: impl IntoIterator<Item = Letter>) -> Self {
        let delivery = Delivery::new(settings, Path::new("/nonexistent")).unwrap();
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

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn message_id(message: &str) -> &str {
    message.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap()
}

// proves: F-15 F-20
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

// proves: F-15 F-20
#[tokio::test]
async fn a_real_mail_server_delivers_one_mail_to_each_mailbox() {
    let addr = peer::free_port();
    let server = OpenSmtpd::start(addr);
    let services = vec![sample::service(17, 443), sample::service(18, 80), sample::service(19, 22)];
    let several = Letter { services, ..sample::letter(2) };
    let japanese = Letter { language: Some(Language::Ja), ..sample::letter(3) };
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

// proves: F-20
#[tokio::test]
async fn a_temporary_refusal_is_tried_again_until_it_is_taken() {
    let addr = peer::free_port();
    let refusing = SmtpSink::start(addr, &["-r", "RCPT"]);
    let post = Post::start(&settings(addr), [sample::letter(1)]);
    post.outbox.until("put off twice", |outbox| outbox.row(1).put_off().len() >= 2).await;
    drop(refusing);
    let sink = SmtpSink::start(addr, &[]);
    post.finished().await;
    let row = post.outbox.row(1);
    assert!(row.is_delivered(), "{row:?}");
    assert!(row.put_off()[0].contains("450"), "{row:?}");
    assert_eq!(sink.messages().len(), 1);
    post.stop().await;
}

#[tokio::test]
async fn a_permanent_refusal_is_a_dead_letter_at_once() {
    let addr = peer::free_port();
    let sink = SmtpSink::start(addr, &["-f", "RCPT"]);
    let post = Post::start(&settings(addr), (1..=3).map(sample::letter));
    post.finished().await;
    for id in 1..=3 {
        let row = post.outbox.row(id);
        assert!(row.dead().is_some_and(|reason| reason.contains("500")), "{row:?}");
        assert_eq!(row.outcomes.len(), 1, "{row:?}");
    }
    assert!(sink.messages().is_empty());
    post.stop().await;
}

#[tokio::test]
async fn a_server_that_hangs_up_is_tried_again() {
    let addr = peer::free_port();
    let hanging_up = SmtpSink::start(addr, &["-q", "RCPT"]);
    let post = Post::start(&settings(addr), [sample::letter(1)]);
    post.outbox.until("put off", |outbox| !outbox.row(1).put_off().is_empty()).await;
    drop(hanging_up);
    let _sink = SmtpSink::start(addr, &[]);
    post.finished().await;
    assert!(post.outbox.row(1).is_delivered());
    post.stop().await;
}

// proves: F-20
#[tokio::test]
async fn a_server_that_is_down_gets_every_letter_when_it_is_up() {
    let addr = peer::free_port();
    let post = Post::start(&settings(addr), (1..=50).map(sample::letter));
    let put_off = |outbox: &MemoryOutbox| (1..=50).any(|id| !outbox.row(id).put_off().is_empty());
    post.outbox.until("a letter is put off", put_off).await;
    let sink = SmtpSink::start(addr, &[]);
    post.finished().await;
    assert_eq!(sink.messages().len(), 50);
    let refused = (1..=50).map(|id| post.outbox.row(id)).find(|row| !row.put_off().is_empty()).unwrap();
    assert!(refused.put_off()[0].starts_with(&format!("mail server {addr}: cannot connect")), "{refused:?}");
    post.stop().await;
}

#[tokio::test]
async fn an_unclear_end_is_tried_again_under_the_same_message_id() {
    let server = ScriptedServer::start(Encryption::Never, [AfterTheDot::HangUp]).await;
    let post = Post::start(&settings(server.addr), [sample::letter(1)]);
    post.finished().await;
    let taken = server.taken();
    assert_eq!(taken.len(), 2);
    assert_eq!(message_id(&taken[0].data), message_id(&taken[1].data));
    assert_eq!(taken[0].data, taken[1].data, "mail systems that compare more than the id see the same, too");
    assert_eq!(post.outbox.row(1).put_off().len(), 1);
    post.stop().await;
}

#[tokio::test]
async fn refusals_keep_the_session_and_the_next_letter_goes_over_it() {
    let script = [AfterTheDot::Say("554 no"), AfterTheDot::Say("451 later")];
    let server = ScriptedServer::start(Encryption::Never, script).await;
    let post = Post::start(&config::Notify { connections: 1, ..settings(server.addr) }, (1..=5).map(sample::letter));
    post.finished().await;
    assert!(post.outbox.row(1).dead().is_some());
    assert!((2..=5).all(|id| post.outbox.row(id).is_delivered()));
    assert_eq!(server.sessions(), 1);
    assert!(server.taken().iter().all(|taken| taken.sender == "MAIL FROM:<>"));
    post.stop().await;
}

#[tokio::test]
async fn an_answer_about_our_login_is_no_refusal_of_the_letter() {
    let server = ScriptedServer::start(Encryption::Never, [AfterTheDot::Say("530 5.7.0 log in first")]).await;
    let post = Post::start(&settings(server.addr), [sample::letter(1)]);
    post.finished().await;
    let row = post.outbox.row(1);
    assert!(row.is_delivered() && row.put_off()[0].contains("530"), "{row:?}");
    post.stop().await;
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_begins_nothing() {
    let server = ScriptedServer::start(Encryption::Never, [AfterTheDot::AcceptLate]).await;
    let post = Post::start(&config::Notify { connections: 1, ..settings(server.addr) }, (1..=3).map(sample::letter));
    server.arrival().await;
    post.cancel.cancel();
    server.accept_late();
    let outbox = post.outbox.clone();
    post.stop().await;
    assert!(outbox.row(1).is_delivered());
    assert!((2..=3).all(|id| outbox.row(id).outcomes.is_empty()));
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever_for_a_server_that_says_nothing_any_more() {
    let server = ScriptedServer::start(Encryption::Never, [AfterTheDot::AcceptLate]).await;
    let post = Post::start(&settings(server.addr), [sample::letter(1)]);
    server.arrival().await;
    let outbox = post.outbox.clone();
    tokio::time::timeout(FINISH * 10, post.stop()).await.unwrap();
    // Nothing is recorded: the letter goes out again at the next start.
    assert!(outbox.row(1).outcomes.is_empty());
}

#[tokio::test]
async fn an_outcome_that_the_store_did_not_keep_is_kept_later_and_no_mail_is_sent_twice() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let post = Post::start(&settings(server.addr), []);
    post.outbox.fail_to_record(1);
    (1..=3).for_each(|id| post.outbox.add(sample::letter(id)));
    post.wake.notify_one();
    post.finished().await;
    assert_eq!(server.taken().len(), 3);
    post.stop().await;
}

#[tokio::test]
async fn a_test_mail_says_what_it_is() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let delivery = Delivery::new(&settings(server.addr), Path::new("/nonexistent")).unwrap();
    let letter = sample::test_mail("me@example.net".to_owned(), None, UnixMs(1_800_000_000_000));
    delivery.deliver_now(&letter).await.unwrap();
    assert!(server.taken()[0].data.contains("Subject: ringback-test-mail.invalid (192.0.2.7)"));
    let nowhere = Delivery::new(&settings(peer::free_port()), Path::new("/nonexistent")).unwrap();
    let error = nowhere.deliver_now(&letter).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect"), "{error}");
}

#[tokio::test]
async fn a_letter_past_its_lifetime_is_given_up_untried() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let stale = Letter { expires: UnixMs(1), ..sample::letter(1) };
    let post = Post::start(&settings(server.addr), [stale]);
    post.finished().await;
    assert!(post.outbox.row(1).dead().unwrap().contains("lifetime"));
    assert_eq!(server.sessions(), 0);
    post.stop().await;
}

#[tokio::test]
async fn a_lifetime_that_ends_between_tries_makes_a_dead_letter_with_the_last_reason() {
    let addr = peer::free_port();
    let _sink = SmtpSink::start(addr, &["-r", "RCPT"]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let expires = UnixMs(i64::try_from(now).unwrap() + 400);
    let post = Post::start(&settings(addr), [Letter { expires, ..sample::letter(1) }]);
    post.finished().await;
    let row = post.outbox.row(1);
    assert!(row.outcomes.len() > 1, "{row:?}");
    assert!(row.dead().is_some_and(|reason| reason.contains("lifetime")), "{row:?}");
    post.stop().await;
}

#[tokio::test]
async fn a_wake_up_brings_a_new_letter_to_the_server() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let post = Post::start(&settings(server.addr), [sample::letter(1)]);
    post.finished().await;
    post.outbox.add(Letter { language: Some(Language::Ja), ..sample::letter(2) });
    post.wake.notify_one();
    post.finished().await;
    assert!(server.taken()[1].data.is_ascii(), "Japanese too is ASCII on the wire");
    post.stop().await;
}

#[tokio::test]
async fn starttls_is_used_when_offered_and_the_password_goes_over_it() {
    let server = ScriptedServer::start(Encryption::StartTls, []).await;
    let password = password("right");
    let settings = config::Notify {
        smtp: Some(format!("smtp://localhost:{}", server.addr.port())),
        smtp_user: Some("me".to_owned()),
        smtp_password_file: Some(password.path().to_owned()),
        smtp_ca_file: Some("tests/smtp/ca.pem".into()),
        ..settings(server.addr)
    };
    let post = Post::start(&settings, [sample::letter(1)]);
    post.finished().await;
    let taken = &server.taken()[0];
    assert!(taken.encrypted && taken.login.is_some(), "{taken:?}");
    post.stop().await;
}

#[tokio::test]
async fn without_a_login_any_certificate_is_better_than_none() {
    let server = ScriptedServer::start(Encryption::StartTls, []).await;
    let post = Post::start(&settings(server.addr), [sample::letter(1)]);
    post.finished().await;
    assert!(server.taken()[0].encrypted);
    post.stop().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_gets_neither_password_nor_mail() {
    for url in ["smtp+starttls", "smtp"] {
        let server = ScriptedServer::start(Encryption::StartTls, []).await;
        let password = password("right");
        let settings = config::Notify {
            smtp: Some(format!("{url}://localhost:{}", server.addr.port())),
            smtp_user: Some("me".to_owned()),
            smtp_password_file: Some(password.path().to_owned()),
            ..settings(server.addr)
        };
        let post = Post::start(&settings, [sample::letter(1)]);
        post.outbox.until("put off", |outbox| !outbox.row(1).put_off().is_empty()).await;
        let row = post.outbox.row(1);
        assert!(row.put_off()[0].contains("TLS"), "{row:?}");
        assert!(server.taken().is_empty());
        post.stop().await;
    }
}

#[tokio::test]
async fn required_encryption_that_is_not_offered_sends_nothing() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let settings = config::Notify { smtp: Some(format!("smtp+starttls://{}", server.addr)), ..settings(server.addr) };
    let post = Post::start(&settings, [sample::letter(1)]);
    post.outbox.until("put off", |outbox| !outbox.row(1).put_off().is_empty()).await;
    assert!(post.outbox.row(1).put_off()[0].contains("no STARTTLS offered"));
    assert!(server.taken().is_empty());
    post.stop().await;
}

#[tokio::test]
async fn tls_from_the_start_carries_many_mails_quickly() {
    let server = ScriptedServer::start(Encryption::FromTheStart, []).await;
    let settings = config::Notify {
        smtp: Some(format!("smtps://localhost:{}", server.addr.port())),
        smtp_ca_file: Some("tests/smtp/ca.pem".into()),
        ..settings(server.addr)
    };
    let post = Post::start(&settings, (1..=20).map(sample::letter));
    post.finished().await;
    assert!(server.taken().iter().all(|taken| taken.encrypted));
    assert_eq!(server.taken().len(), 20);
    post.stop().await;
}

#[tokio::test]
async fn a_wrong_password_keeps_the_letters_and_says_so() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let password = password("wrong");
    let settings = config::Notify {
        smtp_user: Some("me".to_owned()),
        smtp_password_file: Some(password.path().to_owned()),
        ..settings(server.addr)
    };
    let post = Post::start(&settings, [sample::letter(1)]);
    post.outbox.until("put off", |outbox| !outbox.row(1).put_off().is_empty()).await;
    let row = post.outbox.row(1);
    assert!(row.put_off()[0].contains("login refused") && row.dead().is_none(), "{row:?}");
    assert!(!row.put_off()[0].contains("wrong"), "{row:?}");
    post.stop().await;
}

// proves: F-16
#[tokio::test]
async fn a_name_from_reverse_dns_is_told_and_kept() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let dns = name_server::start().await;
    let mut nameless = sample::letter(1);
    nameless.services[0].server_name = None;
    let settings = config::Notify { reverse_dns: true, dns_server: Some(dns), ..settings(server.addr) };
    let post = Post::start(&settings, [nameless]);
    post.finished().await;
    let taken = &server.taken()[0].data;
    assert!(taken.contains("Subject: www.example.net (192.0.2.7) port 443 is"), "{taken}");
    assert_eq!(post.outbox.names(), [(OutageId(17), "www.example.net".to_owned())]);
    post.stop().await;
}

// proves: F-15
#[tokio::test]
async fn without_a_mail_server_mails_are_files() {
    let state = tempfile::tempdir().unwrap();
    let settings = config::Notify { smtp: None, ..settings(([127, 0, 0, 1], 1).into()) };
    let services = vec![sample::service(17, 443), sample::service(18, 80), sample::service(19, 22)];
    let letters = [sample::letter(1), Letter { services, language: Some(Language::Ja), ..sample::letter(2) }];
    let post = Post::with(Delivery::new(&settings, state.path()).unwrap(), letters);
    post.finished().await;
    post.stop().await;
    let files: Vec<_> = std::fs::read_dir(state.path().join("mail/new")).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        assert_eq!(file.extension().unwrap(), "eml");
        assert!(std::fs::read_to_string(file).unwrap().contains("\nAuto-Submitted: auto-generated\n"));
    }
}

#[tokio::test]
async fn the_rate_of_one_service_holds_no_other_back() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let other = Letter { services: vec![sample::service(18, 80)], ..sample::letter(9) };
    let letters = (1..=4).map(sample::letter).chain([other]);
    let post = Post::start(&config::Notify { rate: 2, ..settings(server.addr) }, letters);
    let start = std::time::Instant::now();
    post.outbox.until("the other is told", |outbox| outbox.row(9).is_delivered()).await;
    assert!(post.outbox.open() >= 1, "two of four are held back");
    post.finished().await;
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    post.stop().await;
}

// proves: F-15
#[tokio::test]
async fn a_letter_whose_lease_is_lost_is_not_begun_and_sent_once_when_it_is_ours_again() {
    let addr = peer::free_port();
    let sink = SmtpSink::start(addr, &[]);
    // One goes at once, the others are held back for longer than the lease.
    let delivery = Delivery::new(&config::Notify { rate: 1, ..settings(addr) }, Path::new("/nonexistent")).unwrap();
    let outbox = MemoryOutbox::with((1..=3).map(sample::letter));
    outbox.share(Duration::from_millis(900));
    let post = Post::of(delivery, outbox);
    post.outbox.until("the first is sent", |outbox| outbox.open() == 2).await;
    post.outbox.out_of_reach(true);
    post.outbox.until("tried to get its leases back", |outbox| outbox.refusals() >= 3).await;
    assert_eq!(post.outbox.open(), 2, "letters were begun that others may have");
    post.outbox.out_of_reach(false);
    post.finished().await;
    post.stop().await;
    assert_eq!(sink.messages().len(), 3);
}

fn password(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{text}").unwrap();
    file
}
