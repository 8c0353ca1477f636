//! What a mail server answers, or fails to answer, and what becomes of the letter.

use monitor_core::{config, mail::sample};

use super::{
    Post,
    memory_outbox::MemoryOutbox,
    peer::{self, SmtpSink},
    scripted_server::{AfterTheDot, Encryption, ScriptedServer},
    settings,
};

fn message_id(message: &str) -> &str {
    message.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap()
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
    post.put_off().await;
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
