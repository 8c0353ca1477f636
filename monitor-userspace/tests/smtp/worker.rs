//! The worker itself: its stop, lifetimes, pace and leases.

use std::{path::Path, time::Duration};

use monitor_core::{
    config,
    domain::{Language, UnixMs},
    mail::{Letter, sample, smtp::SmtpPhase},
};
use ringback::notify::{Delivery, Mail};

use super::{
    FINISH, Post,
    memory_outbox::MemoryOutbox,
    odd_server::{LATE, Odd, OddServer},
    peer::{self, SmtpSink},
    scripted_server::{AfterTheDot, Encryption, ScriptedServer},
    settings,
};

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
    // The server has all of it and may have taken it: it does not go out again at the next start at once.
    let row = outbox.row(1);
    assert!(row.outcomes.len() == 1 && row.put_off()[0].contains("may have been taken"), "{row:?}");
}

#[tokio::test]
async fn what_was_not_sent_to_its_end_at_a_stop_is_due_at_the_next_start() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let post = Post::start(&settings(listener.local_addr().unwrap()), [sample::letter(1)]);
    // A server that never greets.
    let _silent = listener.accept().await.unwrap();
    let outbox = post.outbox.clone();
    tokio::time::timeout(FINISH * 10, post.stop()).await.unwrap();
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
    post.outbox.add(sample::letter_about(2, Some(Language::Ja), vec![sample::service(17, 443)]));
    post.wake.notify_one();
    post.finished().await;
    assert!(server.taken()[1].data.is_ascii(), "Japanese too is ASCII on the wire");
    post.stop().await;
}

#[tokio::test]
async fn the_rate_of_one_service_holds_no_other_back() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let other = sample::letter_about(9, None, vec![sample::service(18, 80)]);
    let letters = (1..=4).map(sample::letter).chain([other]);
    let post = Post::start(&config::Notify { rate: 2, ..settings(server.addr) }, letters);
    let start = std::time::Instant::now();
    post.outbox.until("the other is told", |outbox| outbox.row(9).is_delivered()).await;
    assert!(post.outbox.open() >= 1, "two of four are held back");
    post.finished().await;
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    post.stop().await;
}

// proves: F-15a
#[tokio::test]
async fn a_letter_whose_lease_is_lost_is_not_begun_and_sent_once_when_it_is_ours_again() {
    let addr = peer::free_port();
    let sink = SmtpSink::start(addr, &[]);
    // One goes at once, the others are held back for longer than the lease.
    let slow = config::Notify { rate: 1, ..settings(addr) };
    let delivery = Delivery::of_mails(Mail::load(&slow, Path::new("/nonexistent")).unwrap());
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

// proves: R-2
#[tokio::test]
async fn a_letter_whose_lease_ends_while_a_server_is_slow_is_not_sent_by_it() {
    let server = OddServer::start(SmtpPhase::Rcpt, Odd::Late, 1).await;
    let delivery = Delivery::of_mails(Mail::load(&settings(server.addr), Path::new("/nonexistent")).unwrap());
    let outbox = MemoryOutbox::with([]);
    outbox.share(LATE / 3);
    let post = Post::of(delivery, outbox);
    post.outbox.add(sample::letter(1));
    post.wake.notify_one();
    // Begun, and from now on others may take it.
    while server.sessions() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    post.outbox.out_of_reach(true);
    tokio::time::sleep(LATE * 2).await;
    let key = &sample::letter(1).key;
    assert_eq!(server.of(key), (0, 0), "it was sent when others may have had it");
    post.outbox.out_of_reach(false);
    post.finished().await;
    post.stop().await;
    assert_eq!(server.of(key), (1, 1));
}
