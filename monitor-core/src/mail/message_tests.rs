//! What a letter says, and what stands in its headers.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    domain::UnixMs,
    mail::sample::{letter, letter_about, service},
};

fn settings() -> config::Notify {
    config::Notify { from: "Ringback <ringback@gw.example.net>".to_owned(), ..Default::default() }
}

fn load(settings: &config::Notify) -> Result<Composer, Vec<Mistake>> {
    Composer::load(settings, TimeZone::UTC, &|_, _| Ok(None))
}

fn write(settings: &config::Notify, letter: &Letter) -> String {
    let written = load(settings).unwrap().write(letter).unwrap();
    assert!(written.bytes.is_ascii(), "any mail server can take it");
    String::from_utf8(written.bytes).unwrap()
}

/// The value of a header, unfolded.
fn header(message: &str, name: &str) -> Option<String> {
    let (head, _) = message.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

fn words(letter: &Letter) -> (String, String) {
    let Content::Recovered(recovered) = &letter.says else { panic!("{letter:?}") };
    load(&settings()).unwrap().words(letter, recovered).unwrap()
}

// proves: F-15a F-16
#[test]
fn it_names_server_time_and_reason() {
    let (subject, text) = words(&letter(1));
    assert_eq!(subject, "www.example.net (192.0.2.7) port 443 is reachable again");
    for said in [
        "www.example.net (192.0.2.7), port 443",
        "from 2026-11-20 23:56:41 UTC",
        "to   2026-11-21 02:01:41 UTC",
        "2 hours 5 minutes",
        "your machine 198.18.0.1 tried 3 times",
        "first at 2026-11-21 00:05:01 UTC",
        "last at  2026-11-21 02:00:41 UTC",
        "no answer",
        "write to ringback@gw.example.net",
    ] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 78), "{text}");
}

// proves: F-16
#[test]
fn a_server_without_a_name_is_its_address() {
    let mut letter = letter(1);
    letter.services_mut()[0].server_name = None;
    assert_eq!(words(&letter).0, "192.0.2.7 port 443 is reachable again");
}

#[test]
fn names_cannot_add_headers_or_words() {
    for odd in ["x\r\nBcc: all@example.net", "pay here https://evil.example", "a\u{202e}b"] {
        let mut letter = letter(1);
        letter.services_mut()[0].server_name = Some(odd.to_owned());
        let (subject, text) = words(&letter);
        assert_eq!(subject, "192.0.2.7 port 443 is reachable again");
        assert!(!text.contains("evil") && !text.contains("Bcc"));
        assert_eq!(header(&write(&settings(), &letter), "Bcc"), None);
    }
    let injected = Letter { to: "a@example.net>\r\nBcc: all@example.net".to_owned(), ..letter(1) };
    assert!(load(&settings()).unwrap().write(&injected).is_err());
}

#[test]
fn several_services_are_one_mail() {
    let letter = letter_about(1, None, vec![service(17, 443), service(18, 80), service(19, 22)]);
    let (subject, text) = words(&letter);
    assert_eq!(subject, "www.example.net (192.0.2.7) port 443 and 2 more are reachable again");
    for port in ["port 443", "port 80", "port 22"] {
        assert_eq!(text.matches(port).count(), 1, "{text}");
    }
    let references = header(&write(&settings(), &letter), "References").unwrap();
    assert_eq!(references.split_whitespace().count(), 3, "{references}");
}

#[test]
fn japanese_is_said_in_japanese() {
    let japanese = letter_about(1, Some(Language::Ja), vec![service(17, 443)]);
    let (subject, text) = words(&japanese);
    assert_eq!(subject, "【復旧のお知らせ】www.example.net (192.0.2.7) ポート 443 に接続できるようになりました");
    for said in ["復旧しました", "2時間5分", "（198.18.0.1）から 3 回", "応答なし", "2026-11-21 02:01:41 UTC"]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    let message = write(&settings(), &japanese);
    assert!(header(&message, "Subject").unwrap().starts_with("=?utf-8?"), "{message}");
    assert_eq!(header(&message, "Content-Type").unwrap(), "text/plain; charset=utf-8");
}

#[test]
fn headers_keep_machines_from_answering() {
    let message = write(&settings(), &letter(1));
    assert_eq!(header(&message, "From").unwrap(), "Ringback <ringback@gw.example.net>");
    assert_eq!(header(&message, "To").unwrap(), "client1@example.net");
    assert_eq!(header(&message, "Auto-Submitted").unwrap(), "auto-generated");
    assert_eq!(header(&message, "Date").unwrap(), "Sat, 21 Nov 2026 02:01:41 +0000");
    let id = "ringback.17.1795219001000.c6120001";
    assert_eq!(header(&message, "Message-ID").unwrap(), format!("<{id}@gw.example.net>"));
    assert_eq!(header(&message, "References").unwrap(), "<ringback.17.1795219001000@gw.example.net>");
    let mailto = format!("<mailto:ringback@gw.example.net?subject=unsubscribe%20{id}>");
    assert_eq!(header(&message, "List-Unsubscribe").unwrap(), mailto);
    assert_eq!(header(&message, "List-Unsubscribe-Post"), None);
    assert_eq!(header(&message, "Precedence"), None);

    let one_click = config::Notify { unsubscribe_url: Some("https://gw.example.net/stop".to_owned()), ..settings() };
    let message = write(&one_click, &letter(1));
    let link = format!("<https://gw.example.net/stop?letter={id}>, {mailto}");
    assert_eq!(header(&message, "List-Unsubscribe").unwrap(), link);
    assert_eq!(header(&message, "List-Unsubscribe-Post").unwrap(), "List-Unsubscribe=One-Click");
}

#[test]
fn a_letter_with_its_own_words_says_how_to_leave_to_those_who_may() {
    let words = |unsubscribe| Ready {
        subject: "web2 is\ndown".to_owned(),
        text: "It is.\n".to_owned(),
        attachment: None,
        unsubscribe,
    };
    let of = |unsubscribe| {
        let says = Content::Ready(words(unsubscribe));
        let letter = Letter { key: "ringback.down.1.a".to_owned(), says, ..letter(1) };
        write(&settings(), &letter)
    };
    assert_eq!(header(&of(true), "Subject").unwrap(), "web2 is down");
    assert!(header(&of(true), "Message-ID").unwrap().starts_with("<ringback.down.1.a@"));
    assert!(header(&of(true), "List-Unsubscribe").unwrap().contains("unsubscribe%20ringback.down.1.a"));
    assert_eq!(header(&of(false), "List-Unsubscribe"), None);
}

#[test]
fn the_same_letter_is_the_same_bytes_and_another_client_another_id() {
    let again = Letter { tries: 5, id: crate::mail::LetterId(99), ..letter(1) };
    assert_eq!(write(&settings(), &letter(1)), write(&settings(), &again));
    let id = |letter: &Letter| header(&write(&settings(), letter), "Message-ID").unwrap();
    assert_ne!(id(&letter(1)), id(&letter(2)));
    let reused = LetterService { since: UnixMs(1), ..service(17, 443) };
    let reused = letter_about(1, None, vec![reused]);
    assert_ne!(id(&letter(1)), id(&reused), "outage ids start again with a new database");
}

#[test]
fn the_envelope_sender_is_null_unless_configured() {
    let envelope = |settings: &config::Notify| load(settings).unwrap().write(&letter(1)).unwrap().envelope;
    assert_eq!(envelope(&settings()).from(), None);
    let configured = config::Notify { envelope_from: Some("bounces@example.net".to_owned()), ..settings() };
    assert_eq!(envelope(&configured).from().map(ToString::to_string).as_deref(), Some("bounces@example.net"));
}

#[test]
fn wrong_addresses_name_their_key() {
    let error = |settings| load(&settings).unwrap_err()[0].to_string();
    let text = error(config::Notify { from: "nobody".to_owned(), ..settings() });
    assert!(text.starts_with("notify.from: `nobody` is not a mail address"), "{text}");
    let text = error(config::Notify { envelope_from: Some("a b".to_owned()), ..settings() });
    assert!(text.starts_with("notify.envelope_from"), "{text}");
    for url in ["http://x.example", "https://", "https://a b", "https://a/\r\nBcc: x"] {
        let text = error(config::Notify { unsubscribe_url: Some(url.to_owned()), ..settings() });
        assert!(text.contains("unsubscribe_url"), "{text}");
    }
}

// proves: R-2
#[test]
fn every_kind_of_message_says_that_it_is_mime_once() {
    let ready = |text: &str, attachment| {
        let ready = Ready { subject: "s".to_owned(), text: text.to_owned(), attachment, unsubscribe: false };
        Letter { says: Content::Ready(ready), ..letter(1) }
    };
    let file = || Some(crate::mail::Attachment { name: "list".to_owned(), bytes: b"x".to_vec() });
    for letter in [
        letter(1),
        letter_about(1, Some(Language::Ja), vec![service(17, 443), service(18, 80)]),
        ready("words", None),
        ready("言葉", None),
        ready("words", file()),
    ] {
        let message = write(&settings(), &letter);
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.matches("MIME-Version: 1.0\r\n").count(), 1, "{head}");
        assert!(head.contains("\r\nContent-Transfer-Encoding: ") || head.contains("multipart/"), "{head}");
    }
}

// proves: R-2
#[test]
fn domains_of_every_script_are_a_labels_in_envelope_and_headers() {
    let settings = config::Notify {
        from: "Ringback <ringback@例え.example>".to_owned(),
        envelope_from: Some("bounces@bücher.example".to_owned()),
        unsubscribe_mail: Some("stop@bücher.example".to_owned()),
        ..Default::default()
    };
    let letter = Letter { to: "user1@Bücher.example".to_owned(), ..letter(1) };
    let written = load(&settings).unwrap().write(&letter).unwrap();
    assert_eq!(written.envelope.to()[0].to_string(), "user1@xn--bcher-kva.example");
    assert_eq!(written.envelope.from().unwrap().to_string(), "bounces@xn--bcher-kva.example");
    let message = write(&settings, &letter);
    assert_eq!(header(&message, "To").unwrap(), "user1@xn--bcher-kva.example");
    assert!(header(&message, "From").unwrap().ends_with("<ringback@xn--r8jz45g.example>"));
    assert!(header(&message, "List-Unsubscribe").unwrap().contains("mailto:stop@xn--bcher-kva.example"), "{message}");
    // What is before the @ has no ASCII form; addresses of hosts stay what they are.
    for kept in ["jürgen@example.net", "a@[192.0.2.1]", "a@EXAMPLE.net"] {
        let letter = Letter { to: kept.to_owned(), ..letter.clone() };
        assert_eq!(load(&settings).unwrap().write(&letter).unwrap().envelope.to()[0].to_string(), kept);
    }
}
