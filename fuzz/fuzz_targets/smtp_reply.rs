//! Bytes of a mail server, read as one reply.
#![no_main]

use monitor_core::mail::{
    Attempt,
    smtp::{Client, Login, ReplyReader, ReplyStep, Sender, SmtpPhase, meaning},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| smtp_reply(bytes));

/// A reply in two pieces: nothing panics, it is the same as in one, only 2yz behind the dot means that the letter was taken,
/// and no reason has a control character or grows with the reply.
fn smtp_reply(bytes: &[u8]) {
    let Some((&at, bytes)) = bytes.split_first() else { return };
    let at = usize::from(at).min(bytes.len());
    let (mut whole, mut pieces) = (ReplyReader::default(), ReplyReader::default());
    let end = whole.take(bytes);
    if pieces.take(&bytes[..at]) == ReplyStep::More {
        pieces.take(&bytes[at..]);
    }
    let reply = whole.finish();
    assert_eq!(reply, pieces.finish());
    let Some(reply) = reply else { return };
    assert_eq!(reply.is_whole, matches!(end, ReplyStep::End(_)));
    let client = Client { sender: Sender::Null, login: Login::None };
    for phase in SmtpPhase::ALL {
        let attempt = meaning(phase, &reply, client);
        assert_eq!(attempt == Attempt::Accepted, phase == SmtpPhase::Dot && reply.code / 100 == 2);
        if let Attempt::Refused(said) | Attempt::Deferred(said) | Attempt::NoSession(said) | Attempt::Unknown(said) =
            attempt
        {
            assert!(!said.contains(char::is_control) && said.chars().count() < 500, "{said}");
        }
    }
}
