//! Every kind of mail, word for word. A snapshot that changes is a mail that changes.

#![expect(clippy::unwrap_used, reason = "tests")]

use insta::assert_snapshot;

use super::*;
use crate::{
    domain::UnixMs,
    mail::{
        Attachment,
        sample::{letter, letter_about, service, test_mail},
    },
    outage::Failure,
};

fn composer() -> Composer {
    let settings = config::Notify {
        from: "Ringback <ringback@gw.example.net>".to_owned(),
        unsubscribe_url: Some("https://gw.example.net/stop".to_owned()),
        ..Default::default()
    };
    Composer::load(&settings, TimeZone::posix("JST-9").unwrap(), &|_, _| Ok(None)).unwrap()
}

/// Subject and text, before they are encoded.
fn words(letter: &Letter) -> String {
    let Content::Recovered(recovered) = &letter.says else { panic!("{letter:?}") };
    let (subject, text) = composer().words(letter, recovered).unwrap();
    format!("{subject}\n\n{text}")
}

/// The message as the mail server gets it.
fn message(letter: &Letter) -> String {
    String::from_utf8(composer().write(letter).unwrap().bytes).unwrap().replace("\r\n", "\n")
}

fn several() -> Vec<LetterService> {
    let mut second = service(18, 80);
    (second.server_name, second.attempts, second.failure) = (None, 1, Failure::Refused);
    vec![service(17, 443), second]
}

#[test]
fn a_recovery_as_a_message() {
    assert_snapshot!(message(&letter(1)), @"
    From: Ringback <ringback@gw.example.net>
    To: client1@example.net
    Subject: www.example.net (192.0.2.7) port 443 is reachable again
    Date: Sat, 21 Nov 2026 02:01:41 +0000
    Message-ID: <ringback.17.1795219001000.c6120001@gw.example.net>
    References: <ringback.17.1795219001000@gw.example.net>
    Auto-Submitted: auto-generated
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    List-Unsubscribe: <https://gw.example.net/stop?letter=ringback.17.1795219001000.c6120001>,
     <mailto:ringback@gw.example.net?subject=unsubscribe%20ringback.17.1795219001000.c6120001>
    List-Unsubscribe-Post: List-Unsubscribe=One-Click
    Content-Transfer-Encoding: 7bit

    Hello,

    you can reach again what did not answer before:

      Server:    www.example.net (192.0.2.7), port 443
      Outage:    from 2026-11-20 23:56:41 UTC (2026-11-21 08:56:41 +09:00)
                 to   2026-11-21 02:01:41 UTC (11:01:41 +09:00)
      Duration:  2 hours 5 minutes
      Attempts:  your machine 198.18.0.1 tried 3 times
                 first at 2026-11-21 00:05:01 UTC (09:05:01 +09:00)
                 last at  2026-11-21 02:00:41 UTC (11:00:41 +09:00)
                 last result: no answer

    You get this mail because your machine 198.18.0.1 tried to connect
    during the outage and could not. There is one such mail per outage.

    To get no more of these mails, write to ringback@gw.example.net.
    ");
}

#[test]
fn a_recovery_in_japanese() {
    assert_snapshot!(words(&letter_about(1, Some(Language::Ja), vec![service(17, 443)])), @"
    【復旧のお知らせ】www.example.net (192.0.2.7) ポート 443 に接続できるようになりました

    接続できない状態が続いていたサーバーが復旧しましたので、お知らせします。

      サーバー：www.example.net (192.0.2.7) ポート 443
      障害期間：2026-11-20 23:56:41 UTC (2026-11-21 08:56:41 +09:00) から
                2026-11-21 02:01:41 UTC (11:01:41 +09:00) まで
      継続時間：2時間5分
      接続の試み：お使いの機器（198.18.0.1）から 3 回
                最初 2026-11-21 00:05:01 UTC (09:05:01 +09:00)
                最後 2026-11-21 02:00:41 UTC (11:00:41 +09:00)
                最後の結果：応答なし

    このメールは、お使いの機器（198.18.0.1）が障害の間に接続を試み、
    接続できなかったためにお送りしています。お知らせは 1 回の障害につき 1 通です。

    今後このお知らせが不要な場合は、ringback@gw.example.net までご連絡ください。
    ");
}

#[test]
fn the_recovery_of_several_services() {
    assert_snapshot!(words(&letter_about(1, None, several())), @"
    www.example.net (192.0.2.7) port 443 and 1 more are reachable again

    Hello,

    you can reach again what did not answer before:

      Server:    www.example.net (192.0.2.7), port 443
      Outage:    from 2026-11-20 23:56:41 UTC (2026-11-21 08:56:41 +09:00)
                 to   2026-11-21 02:01:41 UTC (11:01:41 +09:00)
      Duration:  2 hours 5 minutes
      Attempts:  your machine 198.18.0.1 tried 3 times
                 first at 2026-11-21 00:05:01 UTC (09:05:01 +09:00)
                 last at  2026-11-21 02:00:41 UTC (11:00:41 +09:00)
                 last result: no answer

      Server:    192.0.2.7, port 80
      Outage:    from 2026-11-20 23:56:41 UTC (2026-11-21 08:56:41 +09:00)
                 to   2026-11-21 02:01:41 UTC (11:01:41 +09:00)
      Duration:  2 hours 5 minutes
      Attempts:  your machine 198.18.0.1 tried once
                 first at 2026-11-21 00:05:01 UTC (09:05:01 +09:00)
                 last at  2026-11-21 02:00:41 UTC (11:00:41 +09:00)
                 last result: connection refused

    You get this mail because your machine 198.18.0.1 tried to connect
    during the outage and could not. There is one such mail per outage.

    To get no more of these mails, write to ringback@gw.example.net.
    ");
}

#[test]
fn the_recovery_of_several_services_in_japanese() {
    assert_snapshot!(words(&letter_about(1, Some(Language::Ja), several())), @"
    【復旧のお知らせ】www.example.net (192.0.2.7) ポート 443 ほか 1 件に接続できるようになりました

    接続できない状態が続いていたサーバーが復旧しましたので、お知らせします。

      サーバー：www.example.net (192.0.2.7) ポート 443
      障害期間：2026-11-20 23:56:41 UTC (2026-11-21 08:56:41 +09:00) から
                2026-11-21 02:01:41 UTC (11:01:41 +09:00) まで
      継続時間：2時間5分
      接続の試み：お使いの機器（198.18.0.1）から 3 回
                最初 2026-11-21 00:05:01 UTC (09:05:01 +09:00)
                最後 2026-11-21 02:00:41 UTC (11:00:41 +09:00)
                最後の結果：応答なし

      サーバー：192.0.2.7 ポート 80
      障害期間：2026-11-20 23:56:41 UTC (2026-11-21 08:56:41 +09:00) から
                2026-11-21 02:01:41 UTC (11:01:41 +09:00) まで
      継続時間：2時間5分
      接続の試み：お使いの機器（198.18.0.1）から 1 回
                最初 2026-11-21 00:05:01 UTC (09:05:01 +09:00)
                最後 2026-11-21 02:00:41 UTC (11:00:41 +09:00)
                最後の結果：接続拒否

    このメールは、お使いの機器（198.18.0.1）が障害の間に接続を試み、
    接続できなかったためにお送りしています。お知らせは 1 回の障害につき 1 通です。

    今後このお知らせが不要な場合は、ringback@gw.example.net までご連絡ください。
    ");
}

#[test]
fn a_recovery_with_a_way_out_on_the_page() {
    // As the page makes them.
    let links = |mail: &str| {
        let (mail, page) = (mail.replace('@', "%40"), "https://gw.example.net/.ringback/unsubscribe");
        format!("{page}?mail={mail}&tag=e53577c32a7ce07aaed0a97719d7e0efa7ee376a1833777e1e090673774f5a94")
    };
    let composer = composer().linking(Some(UnsubscribeLinks::new(links)));
    let end = |language| {
        let letter = letter_about(1, Some(language), vec![service(17, 443)]);
        let Content::Recovered(recovered) = &letter.says else { panic!("{letter:?}") };
        let (_, text) = composer.words(&letter, recovered).unwrap();
        text.lines().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(format!("{}\n\n{}", end(Language::En), end(Language::Ja)), @"

    To get no more of these mails, write to ringback@gw.example.net.

    Or open https://gw.example.net/.ringback/unsubscribe?mail=client1%40example.net&tag=e53577c32a7ce07aaed0a97719d7e0efa7ee376a1833777e1e090673774f5a94


    今後このお知らせが不要な場合は、ringback@gw.example.net までご連絡ください。

    または次のページで停止できます。 https://gw.example.net/.ringback/unsubscribe?mail=client1%40example.net&tag=e53577c32a7ce07aaed0a97719d7e0efa7ee376a1833777e1e090673774f5a94
    ");
}

#[test]
fn a_test_mail() {
    assert_snapshot!(words(&test_mail("you@example.net".to_owned(), None, UnixMs(1_800_000_000_000))), @"
    ringback-test-mail.invalid (192.0.2.7) port 443 is reachable again

    Hello,

    you can reach again what did not answer before:

      Server:    ringback-test-mail.invalid (192.0.2.7), port 443
      Outage:    from 2027-01-15 05:55:00 UTC (14:55:00 +09:00)
                 to   2027-01-15 08:00:00 UTC (17:00:00 +09:00)
      Duration:  2 hours 5 minutes
      Attempts:  your machine 198.18.0.0 tried 3 times
                 first at 2027-01-15 06:03:20 UTC (15:03:20 +09:00)
                 last at  2027-01-15 07:59:00 UTC (16:59:00 +09:00)
                 last result: no answer

    You get this mail because your machine 198.18.0.0 tried to connect
    during the outage and could not. There is one such mail per outage.

    To get no more of these mails, write to ringback@gw.example.net.
    ");
}

#[test]
fn a_letter_with_its_own_words_and_an_attachment() {
    let ready = Ready {
        subject: "Ringback list: 192.0.2.7:443 is back, 1 waiting".to_owned(),
        text: "To the Ringback relay.\n".to_owned(),
        attachment: Some(Attachment { name: "list.json".to_owned(), bytes: b"{}\n".to_vec() }),
        unsubscribe: false,
    };
    let with = |ready| message(&Letter { key: "ringback.list.1".to_owned(), says: Content::Ready(ready), ..letter(1) });
    assert_snapshot!(with(ready.clone()), @r#"
    From: Ringback <ringback@gw.example.net>
    To: client1@example.net
    Subject: Ringback list: 192.0.2.7:443 is back, 1 waiting
    Date: Sat, 21 Nov 2026 02:01:41 +0000
    Message-ID: <ringback.list.1@gw.example.net>
    Auto-Submitted: auto-generated
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="=ringback.list.1="

    --=ringback.list.1=
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 7bit

    To the Ringback relay.

    --=ringback.list.1=
    Content-Disposition: attachment; filename="list.json"
    Content-Type: application/octet-stream
    Content-Transfer-Encoding: base64

    e30K
    --=ringback.list.1=--
    "#);
    assert_snapshot!(with(Ready { attachment: None, unsubscribe: true, ..ready }), @"
    From: Ringback <ringback@gw.example.net>
    To: client1@example.net
    Subject: Ringback list: 192.0.2.7:443 is back, 1 waiting
    Date: Sat, 21 Nov 2026 02:01:41 +0000
    Message-ID: <ringback.list.1@gw.example.net>
    Auto-Submitted: auto-generated
    List-Unsubscribe: <https://gw.example.net/stop?letter=ringback.list.1>,
     <mailto:ringback@gw.example.net?subject=unsubscribe%20ringback.list.1>
    List-Unsubscribe-Post: List-Unsubscribe=One-Click
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 7bit

    To the Ringback relay.
    ");
}
