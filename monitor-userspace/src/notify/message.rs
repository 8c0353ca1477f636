//! A letter as a mail: headers that say what it is, and a text in the recipient's language.

use std::time::{Duration, UNIX_EPOCH};

use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
};

use super::templates::Templates;
use crate::{
    config::{Language, Notify},
    outage::{ClientAddr, OutageId, UnixMs},
    store::{Letter, LetterService},
};

/// Longest server name that is shown (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 253;

/// Why a letter cannot become a mail.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    #[error("`{0}` is not a mail address")]
    Recipient(String),
    #[error("cannot be written: {0}")]
    Build(#[from] lettre::error::Error),
}

/// What all mails have in common.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    from: Mailbox,
    language: Language,
    templates: Templates,
    unsubscribe_mail: String,
    unsubscribe_url: Option<String>,
}

/// A header with one line of text.
macro_rules! text_header {
    ($name:ident, $header:literal) => {
        #[derive(Clone)]
        struct $name(String);

        impl Header for $name {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($header)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    };
}

// RFC 3834: no out-of-office answer to this.
text_header!(AutoSubmitted, "Auto-Submitted");
// RFC 2369.
text_header!(ListUnsubscribe, "List-Unsubscribe");
// RFC 8058.
text_header!(ListUnsubscribePost, "List-Unsubscribe-Post");

impl Writer {
    pub(super) fn new(settings: &Notify, from: Mailbox, templates: Templates) -> Self {
        Self {
            language: settings.language,
            templates,
            unsubscribe_mail: settings.unsubscribe_mail.clone().unwrap_or_else(|| from.email.to_string()),
            unsubscribe_url: settings.unsubscribe_url.clone(),
            from,
        }
    }

    /// The mail of a letter. The same letter has the same Message-ID whenever it is written.
    pub(super) fn write(&self, letter: &Letter) -> Result<Message, MessageError> {
        let language = letter.language.unwrap_or(self.language);
        let (subject, text) = self.templates.of(language).fill(|name| self.value(name, letter, language));
        let to: Address = letter.to.parse().map_err(|_| MessageError::Recipient(letter.to.clone()))?;
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(UNIX_EPOCH + Duration::from_millis(u64::try_from(letter.recovered.0).unwrap_or(0)))
            .message_id(Some(self.message_id(letter.outage, letter.client)))
            .references(self.thread(letter.outage))
            .header(AutoSubmitted("auto-generated".to_owned()));
        let mailto = format!("<mailto:{}?subject=unsubscribe>", self.unsubscribe_mail);
        message = match &self.unsubscribe_url {
            Some(url) => message
                .header(ListUnsubscribe(format!("{mailto}, <{url}>")))
                .header(ListUnsubscribePost("List-Unsubscribe=One-Click".to_owned())),
            None => message.header(ListUnsubscribe(mailto)),
        };
        Ok(message.header(ContentType::TEXT_PLAIN).body(text)?)
    }

    /// A mail that only shows that mail goes out.
    pub(super) fn write_test(&self, to: Address) -> Result<Message, MessageError> {
        Ok(Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject("Ringback test mail")
            .date_now()
            .header(AutoSubmitted("auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body("This is a test mail of Ringback: mail goes out.\n".to_owned())?)
    }

    fn message_id(&self, outage: OutageId, client: ClientAddr) -> String {
        let client = client.to_string().replace(':', "-");
        format!("<{outage}.{client}.ringback@{}>", self.from.email.domain())
    }

    /// What all mails about one outage refer to: they are one thread in the reader's list.
    fn thread(&self, outage: OutageId) -> String {
        format!("<{outage}.ringback@{}>", self.from.email.domain())
    }

    fn value(&self, name: &str, letter: &Letter, language: Language) -> String {
        let attempts: u64 = letter.services.iter().map(|service| service.attempts).sum();
        let first = letter.services.iter().map(|service| service.first).min();
        let latest = letter.services.iter().map(|service| service.latest).max();
        match name {
            "what" => what(letter, language),
            "services" => letter.services.iter().map(|service| lines(service, letter.recovered, language)).collect(),
            "recovered" => utc(letter.recovered),
            "client" => letter.client.to_string(),
            "attempts" => match (language, attempts) {
                (Language::En, 1) => "1 attempt".to_owned(),
                (Language::En, attempts) => format!("{attempts} attempts"),
                (Language::Ja, attempts) => format!("{attempts} 回"),
            },
            "first" => first.map(utc).unwrap_or_default(),
            "latest" => latest.map(utc).unwrap_or_default(),
            "host" => self.from.email.domain().to_owned(),
            "unsubscribe" => self.unsubscribe_mail.clone(),
            // Templates are checked when they are loaded.
            _ => String::new(),
        }
    }
}

/// The server, in a few words.
fn what(letter: &Letter, language: Language) -> String {
    let Some(first) = letter.services.first() else { return String::new() };
    let server = server(first);
    match (letter.services.len(), language) {
        (1, Language::En) => format!("{server} port {}", first.service.port()),
        (1, Language::Ja) => format!("{server} ポート {}", first.service.port()),
        (_, _) => server,
    }
}

/// `www.example.net (192.0.2.7)`, or the plain address when there is no name (F-16).
fn server(service: &LetterService) -> String {
    let addr = service.service.addr();
    match service.server_name.as_deref().and_then(clean_name) {
        Some(name) => format!("{name} ({addr})"),
        None => addr.to_string(),
    }
}

/// A name from the DNS, which anybody may have written: letters, digits, dots, hyphens and underscores, or nothing.
pub(super) fn clean_name(name: &str) -> Option<&str> {
    let name = name.trim_end_matches('.');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(allowed)).then_some(name)
}

fn lines(service: &LetterService, recovered: UnixMs, language: Language) -> String {
    let (since, until) = (utc(service.since), utc(recovered));
    let lasted = lasted(recovered.since(service.since), language);
    let (name, port) = (server(service), service.service.port());
    match language {
        Language::En => format!("  {name}, port {port}\n  out of reach from {since} to {until} UTC ({lasted})\n\n"),
        Language::Ja => format!("  {name} ポート {port}\n  {since} から {until} (UTC) まで接続不能({lasted})\n\n"),
    }
}

/// A duration in words: its two largest units.
fn lasted(duration: Duration, language: Language) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 86400, 0), (seconds / 3600 % 24, 1), (seconds / 60 % 60, 2), (seconds % 60, 3)];
    let words: Vec<_> = parts
        .into_iter()
        .skip_while(|(count, unit)| *count == 0 && *unit < 3)
        .take(2)
        .filter(|(count, unit)| *count > 0 || *unit == 3 && seconds == 0)
        .map(|(count, unit)| match language {
            Language::En => {
                let unit = ["day", "hour", "minute", "second"][unit];
                format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
            }
            Language::Ja => format!("{count}{}", ["日", "時間", "分", "秒"][unit]),
        })
        .collect();
    words.join(if language == Language::En { " " } else { "" })
}

/// `2026-11-21 00:56:28`.
fn utc(at: UnixMs) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string().replace('T', " ").replace('Z', "")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::{Writer, clean_name, lasted};
    use crate::{
        config::{Language, Notify},
        notify::Templates,
        outage::{ClientAddr, Failure, OutageId, Recovery, UnixMs},
        store::{Letter, LetterId, LetterService},
    };

    fn letter(names: &[Option<&str>]) -> Letter {
        let services = names
            .iter()
            .zip([443, 80, 25])
            .map(|(name, port)| LetterService {
                outage: OutageId(7),
                service: format!("192.0.2.7:{port}").parse().unwrap(),
                server_name: name.map(str::to_owned),
                since: UnixMs(1_795_222_588_000),
                first: UnixMs(1_795_222_588_000),
                latest: UnixMs(1_795_222_600_000),
                attempts: 3,
                failure: Failure::Unanswered,
            })
            .collect();
        Letter {
            id: LetterId(1),
            outage: OutageId(7),
            client: ClientAddr::new(IpAddr::from([10, 0, 1, 5])),
            to: "sato@example.co.jp".to_owned(),
            language: None,
            services,
            recovered: UnixMs(1_795_226_249_000),
            evidence: Recovery::Answered,
            tries: 0,
            expires: UnixMs(i64::MAX),
        }
    }

    fn writer(settings: &Notify) -> Writer {
        let from = "Ringback <ringback@gw.example.net>".parse().unwrap();
        Writer::new(settings, from, Templates::load(None).unwrap())
    }

    fn written(letter: &Letter) -> String {
        String::from_utf8(writer(&Notify::default()).write(letter).unwrap().formatted()).unwrap()
    }

    // proves: F-15 F-16
    #[test]
    fn the_mail_names_server_time_and_reason() {
        let mail = written(&letter(&[Some("www.example.net.")]));
        for part in [
            "Subject: www.example.net (192.0.2.7) port 443 is reachable again\r\n",
            "To: sato@example.co.jp\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Message-ID: <7.10.0.1.5.ringback@gw.example.net>\r\n",
            "References: <7.ringback@gw.example.net>\r\n",
            "List-Unsubscribe: <mailto:ringback@gw.example.net?subject=unsubscribe>\r\n",
            "out of reach from 2026-11-21 00:56:28 to 2026-11-21 01:57:29 UTC (1 hour 1 minute)",
            "your machine 10.0.1.5 tried to reach it and failed\r\n(3 attempts, first 2026-11-21 00:56:28 UTC",
        ] {
            assert!(mail.contains(part), "{part:?} is not in\n{mail}");
        }
    }

    // proves: F-16
    #[test]
    fn without_a_name_the_plain_address_is_shown_and_an_odd_name_is_no_name() {
        assert!(written(&letter(&[None])).contains("Subject: 192.0.2.7 port 443 is reachable again"));
        let forged = written(&letter(&[Some("x.example\r\nBcc: all@example.net")]));
        assert!(forged.contains("Subject: 192.0.2.7 port 443") && !forged.contains("Bcc"), "{forged}");
        assert_eq!(clean_name("web_1.example.net."), Some("web_1.example.net"));
        for odd in ["", ".", "a b", "ä", "a\nb", &"x".repeat(254)] {
            assert_eq!(clean_name(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn several_services_of_one_recovery_are_in_one_mail() {
        let mail = written(&letter(&[None, None, None]));
        assert!(mail.contains("Subject: 192.0.2.7 is reachable again"), "{mail}");
        for port in ["port 443", "port 80", "port 25"] {
            assert!(mail.contains(port), "{port} is not in\n{mail}");
        }
        assert!(mail.contains("9 attempts"));
    }

    #[test]
    fn a_japanese_mail_is_japanese_in_subject_and_text() {
        let mut letter = letter(&[None]);
        letter.language = Some(Language::Ja);
        let message = writer(&Notify::default()).write(&letter).unwrap();
        let mail = String::from_utf8(message.formatted()).unwrap();
        assert!(mail.contains("Subject: 192.0.2.7 =?utf-8?b?"), "{mail}");
        assert!(mail.contains("Content-Transfer-Encoding: base64"), "{mail}");
    }

    #[test]
    fn one_click_unsubscription_needs_a_url() {
        let settings = Notify { unsubscribe_url: Some("https://gw.example.net/u".to_owned()), ..Notify::default() };
        let mail = String::from_utf8(writer(&settings).write(&letter(&[None])).unwrap().formatted()).unwrap();
        assert!(
            mail.contains("<https://gw.example.net/u>")
                && mail.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
        );
    }

    #[test]
    fn durations_are_said_in_their_two_largest_units() {
        let said = |seconds| lasted(Duration::from_secs(seconds), Language::En);
        assert_eq!(
            [0, 1, 61, 3600, 90_061].map(said),
            ["0 seconds", "1 second", "1 minute 1 second", "1 hour", "1 day 1 hour"]
        );
        assert_eq!(lasted(Duration::from_secs(3661), Language::Ja), "1時間1分");
    }
}
