//! What people are told of peers and of shared addresses.

use crate::{
    domain::Language,
    heartbeat::{status::PeerNotice, wire::Mode},
    standby::machine::Why,
};

/// Subject and text of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One line.
    pub subject: String,
    /// The body.
    pub text: String,
}

/// `own` says that `peer` is down, or that it is back.
#[must_use]
pub fn about_peer(notice: PeerNotice, peer: &str, own: &str, language: Language) -> Words {
    match notice {
        PeerNotice::Down => down(peer, own, language),
        PeerNotice::Recovered => recovered(peer, own, language),
    }
}

fn down(peer: &str, own: &str, language: Language) -> Words {
    match language {
        Language::En => Words {
            subject: format!("{peer} is down"),
            text: format!("{own} hears nothing of {peer} any more. You will get one more mail when {peer} is back.\n"),
        },
        Language::Ja => Words {
            subject: format!("{peer} が停止しています"),
            text: format!(
                "{own} は {peer} からの信号を受信できなくなりました。復旧したときにもう一度お知らせします。\n"
            ),
        },
    }
}

fn recovered(peer: &str, own: &str, language: Language) -> Words {
    match language {
        Language::En => {
            Words { subject: format!("{peer} is back"), text: format!("{own} hears {peer} again; it is running.\n") }
        }
        Language::Ja => Words {
            subject: format!("{peer} が復旧しました"),
            text: format!("{own} は {peer} の動作を再び確認しました。\n"),
        },
    }
}

/// `own` says that it is now `mode` for the shared addresses of `group`, and why.
#[must_use]
pub fn moved(group: &str, own: &str, mode: Mode, why: Why, language: Language) -> Words {
    let (mode, why) = (mode.word(), why.words());
    match language {
        Language::En => Words {
            subject: format!("{own} is now {mode} for {group}"),
            text: format!(
                "{own} is now {mode} for the shared addresses of {group}: {why}.\n\nFurther changes within a minute are in \
                 the journal only; `ringback standby` shows how it stands.\n"
            ),
        },
        Language::Ja => Words {
            subject: format!("{own}: {group} の状態は {mode} です"),
            text: format!("{own} は共有アドレス {group} について {mode} になりました ({why})。\n"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mail_about_peers_and_shared_addresses_word_for_word() {
        let shown = |words: fn(Language) -> Words| {
            let [english, japanese] = [Language::En, Language::Ja].map(words);
            format!("{}\n\n{}\n{}\n\n{}", english.subject, english.text, japanese.subject, japanese.text)
        };
        insta::assert_snapshot!(shown(|language| down("web2", "web1", language)), @"
        web2 is down

        web1 hears nothing of web2 any more. You will get one more mail when web2 is back.

        web2 が停止しています

        web1 は web2 からの信号を受信できなくなりました。復旧したときにもう一度お知らせします。
        ");
        insta::assert_snapshot!(shown(|language| recovered("web2", "web1", language)), @"
        web2 is back

        web1 hears web2 again; it is running.

        web2 が復旧しました

        web1 は web2 の動作を再び確認しました。
        ");
        insta::assert_snapshot!(
            shown(|language| moved("web", "web1", Mode::Active, Why::NobodyActive, language)), @"
            web1 is now active for web

            web1 is now active for the shared addresses of web: no other host is active.

            Further changes within a minute are in the journal only; `ringback standby` shows how it stands.

            web1: web の状態は active です

            web1 は共有アドレス web について active になりました (no other host is active)。
            ");
    }
}
