//! What the page shows and asks, in each language, with what a stranger may have put into it.
#![expect(clippy::unwrap_used, reason = "tests")]

use insta::assert_snapshot;
use monitor_core::domain::{Language, OutageId, UnixMs};

use super::*;
use crate::page::words;

const SERVER: &str = "www.example.net (192.0.2.7)";

/// What is between `<body>` and the script.
fn body(page: &str) -> &str {
    let (_, body) = page.split_once("<main>\n").unwrap();
    body.split_once("\n</main>").unwrap().0
}

fn with<T>(language: Language, show: impl FnOnce(&Document, &PagePlace<'_>) -> T) -> T {
    let place = PagePlace {
        words: words::of(language),
        zone: &TimeZone::UTC,
        nonce: "0123abcd",
        back: "/shop?item=7&from=\"<'>",
        wait: "/.ringback/wait?outage=7",
    };
    show(&Document::load(None).unwrap(), &place)
}

fn question(language: Language, mistake: Option<(&str, &str)>) -> String {
    let failed = Failed {
        outage: OutageId(7),
        service: "192.0.2.7:80".parse().unwrap(),
        name: Some("www.example.net".to_owned()),
        since: UnixMs(1_795_226_501_000),
    };
    let (host, path) = ("www.example.net", "/shop?item=7&from=\"<'>");
    let question = Question { action: "/.ringback/answer", token: "7.1.ab", scheme: "http", host, path, mistake };
    with(language, |document, place| body(&document.question(place, &failed, &question)).to_owned())
}

#[test]
fn the_question() {
    assert_snapshot!(question(Language::En, None), @r#"
    <h1>www.example.net (192.0.2.7) cannot be reached</h1>
    <p>It has been down since <time>2026-11-21 02:01:41 UTC</time></p>
    <form method="post" action="/.ringback/answer">
    <h2>Would you like a mail when it is back?</h2>

    <input type="hidden" name="token" value="7.1.ab">
    <input type="hidden" name="scheme" value="http">
    <input type="hidden" name="host" value="www.example.net">
    <input type="hidden" name="path" value="/shop?item=7&#38;from=&#34;&#60;&#39;&#62;">
    <label for="mail">Your mail address</label>
    <input type="email" id="mail" name="mail" value="" autocomplete="email" required maxlength="254">
    <div class="buttons"><button name="answer" value="yes">Yes, tell me</button>
    <button name="answer" value="no" class="quiet" formnovalidate>No</button></div>
    <p class="small">One mail when this server is back, and when a later failure that you run into is over. Every mail says how to end that.</p>
    </form>
    <p class="small">This page moves on by itself as soon as the server is back.</p>
    "#);
}

#[test]
fn the_question_in_japanese_after_a_mistake() {
    let mistake = Some((words::of(Language::Ja).not_an_address, "a\"<b>&'"));
    assert_snapshot!(question(Language::Ja, mistake), @r#"
    <h1>www.example.net (192.0.2.7) に接続できません</h1>
    <p>停止した時刻: <time>2026-11-21 02:01:41 UTC</time></p>
    <form method="post" action="/.ringback/answer">
    <h2>復旧したらメールでお知らせしますか?</h2>
    <p class="bad" role="alert" id="mistake">メールアドレスの形式ではありません。例: you@example.net</p>
    <input type="hidden" name="token" value="7.1.ab">
    <input type="hidden" name="scheme" value="http">
    <input type="hidden" name="host" value="www.example.net">
    <input type="hidden" name="path" value="/shop?item=7&#38;from=&#34;&#60;&#39;&#62;">
    <label for="mail">メールアドレス</label>
    <input type="email" id="mail" name="mail" value="a&#34;&#60;b&#62;&#38;&#39;" autocomplete="email" required maxlength="254" aria-invalid="true" aria-describedby="mistake">
    <div class="buttons"><button name="answer" value="yes">はい、知らせてください</button>
    <button name="answer" value="no" class="quiet" formnovalidate>いいえ</button></div>
    <p class="small">このサーバーが復旧したとき、および今後の障害で接続できなかったサーバーが復旧したときに、メールを1通お送りします。停止の方法は各メールに記載されています。</p>
    </form>
    <p class="small">サーバーが復旧すると、このページは自動的に移動します。</p>
    "#);
}

#[test]
fn the_confirmation_and_what_moves_the_page_on() {
    let answered = Answered::Yes { mail: "o'neil@example.net" };
    let page = with(Language::En, |document, place| document.confirmation(place, SERVER, &answered));
    assert_snapshot!(body(&page), @r#"
    <h1>You will get a mail</h1>
    <p role="status">When www.example.net (192.0.2.7) is back, a mail goes to <strong>o&#39;neil@example.net</strong></p>
    <p>This page moves on by itself as soon as the server is back.</p>
    <p><a href="/shop?item=7&#38;from=&#34;&#60;&#39;&#62;">Change the answer</a></p>
    "#);
    let moves_on: Vec<_> = page.lines().filter(|line| line.contains("refresh") || line.contains("<script")).collect();
    assert_snapshot!(moves_on.join("\n"), @r#"
    <noscript><meta http-equiv="refresh" content="30;url=/shop?item=7&#38;from=&#34;&#60;&#39;&#62;"></noscript>
    <script nonce="0123abcd" data-wait="/.ringback/wait?outage=7" data-back="/shop?item=7&#38;from=&#34;&#60;&#39;&#62;">
    "#);
    let page = with(Language::En, |document, place| document.confirmation(place, SERVER, &Answered::No));
    assert_snapshot!(body(&page), @r#"
    <h1>You will not get a mail</h1>
    <p role="status">Nothing is sent to you about www.example.net (192.0.2.7).</p>
    <p>This page moves on by itself as soon as the server is back.</p>
    <p><a href="/shop?item=7&#38;from=&#34;&#60;&#39;&#62;">Change the answer</a></p>
    "#);
}

#[test]
fn the_way_back_and_the_way_out() {
    let page =
        with(Language::En, |document, place| document.back(place.words, SERVER, "https://www.example.net/a?b&c"));
    assert_snapshot!(body(&page), @r#"
    <h1>www.example.net (192.0.2.7) is back</h1>
    <p><a class="button" href="https://www.example.net/a?b&#38;c">Go there</a></p>
    "#);
    let page = with(Language::En, |document, place| document.unsubscribe(place.words, "o'neil@example.net"));
    assert_snapshot!(body(&page), @r#"
    <h1>Do you want no more mails?</h1>
    <form method="post">
    <p><strong>o&#39;neil@example.net</strong></p>
    <button>No more mails</button>
    </form>
    "#);
}
