//! Every odd reply in every phase of a session: no letter is lost, none is sent again that was said yes to, and neither
//! time nor memory runs away.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use monitor_core::{
    config,
    domain::UnixMs,
    mail::{
        Letter, sample,
        smtp::{SmtpLimits, SmtpPhase},
    },
};
use ringback::notify::{Delivery, Mail};

use super::{
    Post,
    odd_server::{Odd, OddServer},
    settings,
};

/// What is slow here takes a quarter of this.
const LIMIT: Duration = Duration::from_millis(800);

const LIMITS: SmtpLimits = SmtpLimits {
    banner: LIMIT,
    hello: LIMIT,
    tls: LIMIT,
    auth: LIMIT,
    mail: LIMIT,
    rcpt: LIMIT,
    data: LIMIT,
    block: LIMIT,
    dot: LIMIT,
    reset: LIMIT,
    quit: Duration::from_millis(100),
    odd: Duration::from_millis(300),
};

/// Bytes that the kernel takes from an endless server before it notices that nobody reads, with room to spare: with loopback
/// buffers a few MB. A client that went on reading would take hundreds in the same time.
const ENDLESS: usize = 40 << 20;

/// Sessions at a time.
const AT_ONCE: usize = 24;

fn cases() -> impl Iterator<Item = (SmtpPhase, Odd)> {
    SmtpPhase::ALL.into_iter().flat_map(|phase| Odd::ALL.into_iter().map(move |odd| (phase, odd)))
}

/// Whether nobody but the letter can be meant.
fn is_final(phase: SmtpPhase, odd: Odd) -> bool {
    odd.is_never() && matches!(phase, SmtpPhase::Rcpt | SmtpPhase::Dot)
        // 550 5.1.1, and not a 550 alone, says so also before the message.
        || odd == Odd::Permanent && phase == SmtpPhase::Data
}

fn post(server: &OddServer, phase: SmtpPhase, letters: [Letter; 2], password: &Path) -> Post {
    let mut settings = config::Notify {
        connections: 1,
        retry: Duration::from_millis(20),
        retry_max: Duration::from_millis(80),
        ..settings(server.addr)
    };
    if phase == SmtpPhase::Auth {
        settings.smtp_user = Some("me".to_owned());
        settings.smtp_password_file = Some(password.to_owned());
    }
    let mail = Mail::load(&settings, Path::new("/nonexistent")).unwrap().within(LIMITS);
    Post::with(Delivery::of_mails(mail), letters)
}

fn password() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "right").unwrap();
    file
}

/// An odd server that is odd once; then the letters are there, or refused, and nothing was said twice.
async fn once((phase, odd): (SmtpPhase, Odd), password: &Path) {
    let server = OddServer::start(phase, odd, 1).await;
    let post = post(&server, phase, [sample::letter(1), sample::letter(2)], password);
    post.finished().await;
    let started = Instant::now();
    let outbox = post.outbox.clone();
    post.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{phase} {odd:?}: the stop takes {:?}", started.elapsed());
    let rows = [1, 2].map(|id| outbox.row(id));
    for row in &rows {
        let (came, yes) = server.of(&row.letter.key);
        let what = format!("{phase} {odd:?}: came {came}, yes {yes}: {row:?}");
        assert_eq!(yes, usize::from(row.is_delivered()), "{what}");
        // Only a reply to the dot that says nothing, or no, makes a second copy of the bytes.
        assert!(phase == SmtpPhase::Dot && !odd.is_yes() || came <= 1, "{what}");
        for reason in row.put_off() {
            let is_said =
                reason.contains(&phase.to_string()) || matches!(phase, SmtpPhase::StartTls | SmtpPhase::Reset);
            let may_be_elsewhere = odd == Odd::Twice || phase == SmtpPhase::Hello;
            assert!(is_said || may_be_elsewhere, "{what}");
            assert!(reason.len() < 700 && !reason.contains(char::is_control), "{what}");
        }
    }
    let dead = rows.iter().filter(|row| row.dead().is_some()).count();
    assert_eq!(dead, usize::from(is_final(phase, odd)), "{phase} {odd:?}: {rows:?}");
    assert!(server.bytes_sent() < ENDLESS, "{phase} {odd:?}: {} bytes read", server.bytes_sent());
}

/// A server that is always odd: a letter to which it says yes is not sent again, and its lifetime ends the others.
async fn always((phase, odd): (SmtpPhase, Odd), password: &Path) {
    let server = OddServer::start(phase, odd, usize::MAX).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = UnixMs(i64::try_from(now).unwrap());
    let letter = |id| Letter { at: now, expires: now + Duration::from_millis(2500), ..sample::letter(id) };
    let post = post(&server, phase, [letter(1), letter(2)], password);
    post.finished().await;
    let outbox = post.outbox.clone();
    post.stop().await;
    for id in [1, 2] {
        let row = outbox.row(id);
        let (came, yes) = server.of(&row.letter.key);
        let what = format!("{phase} {odd:?}: came {came}, yes {yes}: {row:?}");
        assert_eq!(yes, usize::from(row.is_delivered()), "{what}");
        // Nobody asked for TLS, and nothing needs it; nor does anything depend on a farewell.
        let is_needed = !matches!(phase, SmtpPhase::StartTls | SmtpPhase::Quit);
        assert!(is_needed || row.is_delivered(), "{what}");
        // Behind an end that nobody knows the pauses grow up to an eighth of the lifetime: few copies.
        let most = match phase {
            SmtpPhase::Dot if is_refusal(odd) => usize::MAX,
            SmtpPhase::Dot if !odd.is_yes() => 14,
            _ => 1,
        };
        assert!(came <= most, "{what}");
        if let Some(reason) = row.dead() {
            assert!(!reason.is_empty() && reason.len() < 900, "{what}");
        }
    }
    assert!(server.sessions() < 200, "{phase} {odd:?}: {} sessions", server.sessions());
    let sessions = server.sessions();
    assert!(server.bytes_sent() < ENDLESS * sessions, "{phase} {odd:?}: {} bytes read", server.bytes_sent());
}

fn is_refusal(odd: Odd) -> bool {
    odd.is_never() || matches!(odd, Odd::Temporary | Odd::TemporaryBytes | Odd::Closing)
}

// proves: R-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_odd_reply_in_any_phase_neither_loses_nor_repeats_a_letter() {
    let password = password();
    let path = password.path();
    stream::iter(cases()).for_each_concurrent(AT_ONCE, |case| once(case, path)).await;
}

// proves: R-2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_always_odd_gets_no_letter_twice_that_it_has_said_yes_to() {
    let password = password();
    let path = password.path();
    stream::iter(cases()).for_each_concurrent(AT_ONCE, |case| always(case, path)).await;
}
