//! The page's words in each language.

use monitor_core::domain::Language;

/// Everything that is said. `{}` is the server.
pub(super) struct Words {
    pub(super) code: &'static str,
    pub(super) down: &'static str,
    pub(super) since: &'static str,
    pub(super) question: &'static str,
    pub(super) field: &'static str,
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    pub(super) privacy: &'static str,
    pub(super) registered: &'static str,
    /// The address comes behind it.
    pub(super) registered_for: &'static str,
    pub(super) declined: &'static str,
    pub(super) declined_text: &'static str,
    pub(super) waits: &'static str,
    pub(super) again: &'static str,
    pub(super) back: &'static str,
    pub(super) go: &'static str,
    pub(super) not_an_address: &'static str,
    pub(super) too_old: &'static str,
    pub(super) too_often: &'static str,
    pub(super) not_kept: &'static str,
    pub(super) unsubscribe: &'static str,
    pub(super) unsubscribe_button: &'static str,
    pub(super) unsubscribed: &'static str,
    /// The address is in the book by the operator's hand too.
    pub(super) by_operator: &'static str,
}

const ENGLISH: Words = Words {
    code: "en",
    down: "{} cannot be reached",
    since: "It has been down since",
    question: "Would you like a mail when it is back?",
    field: "Your mail address",
    yes: "Yes, tell me",
    no: "No",
    privacy: "One mail when this server is back, and when a later failure that you run into is over. Every mail says how \
              to end that.",
    registered: "You will get a mail",
    registered_for: "When {} is back, a mail goes to",
    declined: "You will not get a mail",
    declined_text: "Nothing is sent to you about {}.",
    waits: "This page moves on by itself as soon as the server is back.",
    again: "Change the answer",
    back: "{} is back",
    go: "Go there",
    not_an_address: "That is not a mail address. An example: you@example.net",
    too_old: "This form is too old. Please answer again.",
    too_often: "Too many answers. Please try again in a few minutes.",
    not_kept: "Your answer could not be kept. Please try again in a moment.",
    unsubscribe: "Do you want no more mails?",
    unsubscribe_button: "No more mails",
    unsubscribed: "You will get no more mails of this kind.",
    by_operator: "What was typed into the page is deleted. The operator has your address on record too: please write to \
                  the address in the mail.",
};

const JAPANESE: Words = Words {
    code: "ja",
    down: "{} に接続できません",
    since: "停止した時刻:",
    question: "復旧したらメールでお知らせしますか?",
    field: "メールアドレス",
    yes: "はい、知らせてください",
    no: "いいえ",
    privacy: "このサーバーが復旧したとき、および今後の障害で接続できなかったサーバーが復旧したときに、メールを1通お送りします。停止の方法は各メールに記載されています。",
    registered: "メールでお知らせします",
    registered_for: "{} が復旧したら、次の宛先にメールを送ります:",
    declined: "メールは送りません",
    declined_text: "{} についてのお知らせは送りません。",
    waits: "サーバーが復旧すると、このページは自動的に移動します。",
    again: "回答を変更する",
    back: "{} は復旧しました",
    go: "サイトへ移動する",
    not_an_address: "メールアドレスの形式ではありません。例: you@example.net",
    too_old: "フォームの有効期限が切れています。もう一度お答えください。",
    too_often: "回答の回数が多すぎます。数分後にもう一度お試しください。",
    not_kept: "回答を保存できませんでした。しばらくしてからもう一度お試しください。",
    unsubscribe: "メールの配信を停止しますか?",
    unsubscribe_button: "配信を停止する",
    unsubscribed: "今後この種のメールは送りません。",
    by_operator: "ページで入力されたアドレスを削除しました。ただし、管理者もあなたのアドレスを登録しています。メールに記載された宛先へご連絡ください。",
};

/// The words of a language.
pub(super) const fn of(language: Language) -> &'static Words {
    match language {
        Language::En => &ENGLISH,
        Language::Ja => &JAPANESE,
    }
}

/// A sentence about the server.
pub(super) fn about(sentence: &str, server: &str) -> String {
    sentence.replacen("{}", server, 1)
}
