//! A letter -> one RFC 5322 message, byte for byte the same at every try.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};
use minijinja::{Value, context};

use super::{
    Content, Letter, LetterService, Ready, Recovered,
    error::ComposerError,
    host_name::is_host_name,
    links::UnsubscribeLinks,
    outage_key, phrase,
    template::{Part, ReadTemplate, Template},
};
use crate::{
    config::{self, Mistake, Mistakes},
    domain::{Language, wall_clock::utc_and_local},
};

/// A letter that cannot be made into a message.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unwritable(String);

/// A message and where it goes: to one recipient, so that one refused address cannot stop another's mail.
#[derive(Clone, Debug)]
pub struct Written {
    /// Sender (none: `<>`) and recipient as the mail server is told.
    pub envelope: Envelope,
    /// The message with CRLF line ends; ASCII only, whatever the language, unless an address is not before its `@`.
    pub bytes: Vec<u8>,
}

/// Writes letters in the configured words.
#[derive(Clone, Debug)]
pub struct Composer {
    from: Mailbox,
    envelope_from: Option<Address>,
    english: Template,
    japanese: Template,
    language: Language,
    /// Of the local times beside UTC.
    zone: TimeZone,
    unsubscribe_mail: Address,
    unsubscribe_url: Option<String>,
    /// To the page, for addresses that were typed there.
    links: Option<UnsubscribeLinks>,
}

impl Composer {
    /// Writes by these settings, with local times of `zone`; `read` brings the operator's templates.
    ///
    /// # Errors
    /// Every setting that letters cannot be written with.
    pub fn load(settings: &config::Notify, zone: TimeZone, read: ReadTemplate<'_>) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let address = |key, value: &Option<String>| {
            value.as_ref().map(|value| parsed::<Address>(key, value, "ringback@example.net")).transpose()
        };
        let template =
            |language| Template::load(settings.template_dir.as_deref(), language, read).map_err(ComposerError::from);
        let from = mistakes.take(parsed::<Mailbox>("from", &settings.from, "Ringback <ringback@example.net>"));
        let envelope_from = mistakes.take(address("envelope_from", &settings.envelope_from));
        let unsubscribe_mail = mistakes.take(address("unsubscribe_mail", &settings.unsubscribe_mail));
        mistakes.take(settings.unsubscribe_url.as_deref().map_or(Ok(()), check_https));
        let english = mistakes.take(template(Language::En));
        let japanese = mistakes.take(template(Language::Ja));
        let composer = || {
            let mut from = from?;
            from.email = with_ascii_domain(from.email);
            Some(Self {
                envelope_from: envelope_from?.map(with_ascii_domain),
                english: english?,
                japanese: japanese?,
                language: settings.language,
                zone,
                unsubscribe_mail: unsubscribe_mail?.map_or_else(|| from.email.clone(), with_ascii_domain),
                unsubscribe_url: settings.unsubscribe_url.clone(),
                from,
                links: None,
            })
        };
        mistakes.or(composer())
    }

    /// What the operator should change in the templates some day.
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        [&self.english, &self.japanese].into_iter().filter_map(|template| template.remark.as_deref())
    }

    /// The same that ends each letter with a link that ends these mails.
    #[must_use]
    pub fn linking(self, links: Option<UnsubscribeLinks>) -> Self {
        Self { links, ..self }
    }

    /// The message for `letter`.
    ///
    /// Its `Date:` is the time of the recovery, when the letter was made, so that a second try after an unclear end
    /// of the first one sends the same bytes under the same Message-ID.
    ///
    /// # Errors
    /// The letter's recipient or its content cannot stand in a message.
    pub fn write(&self, letter: &Letter) -> Result<Written, Unwritable> {
        let to: Address = letter.to.parse().map_err(|error| Unwritable(format!("not a mail address: {error}")))?;
        let to = with_ascii_domain(to);
        let envelope = Envelope::new(self.envelope_from.clone(), vec![to.clone()])
            .map_err(|error| Unwritable(format!("no envelope: {error}")))?;
        let recovered = match &letter.says {
            Content::Recovered(recovered) => recovered,
            Content::Ready(ready) => return self.write_ready(letter, ready, to, envelope),
        };
        let (subject, text) = self.words(letter, recovered)?;
        let domain = self.from.email.domain();
        let key = &letter.key;
        let references: Vec<String> = recovered
            .services
            .iter()
            .map(|service| format!("<{}@{domain}>", outage_key(service.outage, service.since)))
            .collect();
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(letter.at.0).unwrap_or(0)))
            .message_id(Some(format!("<{key}@{domain}>")))
            .references(references.join(" "))
            // RFC 3834: nobody's out-of-office answers this.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            // RFC 2045 section 4. lettre adds it to messages of several parts only.
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .envelope(envelope.clone());
        for (name, value) in self.unsubscribe_headers(key, &letter.to) {
            message = message.raw_header(HeaderValue::new(name, value));
        }
        let message = message.body(text).map_err(|error| Unwritable(format!("cannot be written: {error}")))?;
        Ok(Written { envelope, bytes: message.formatted() })
    }

    /// A message whose words are ready.
    fn write_ready(
        &self,
        letter: &Letter,
        ready: &Ready,
        to: Address,
        envelope: Envelope,
    ) -> Result<Written, Unwritable> {
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(ready.subject.replace(char::is_control, " "))
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(letter.at.0).unwrap_or(0)))
            .message_id(Some(format!("<{}@{}>", letter.key, self.from.email.domain())))
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .envelope(envelope.clone());
        if ready.unsubscribe {
            for (name, value) in self.unsubscribe_headers(&letter.key, &letter.to) {
                message = message.raw_header(HeaderValue::new(name, value));
            }
        }
        let message = match &ready.attachment {
            None => message.header(MIME_VERSION_1_0).header(ContentType::TEXT_PLAIN).body(ready.text.clone()),
            Some(attachment) => {
                let kind = ContentType::parse("application/octet-stream")
                    .map_err(|error| Unwritable(format!("cannot be written: {error}")))?;
                // Base64 whatever the content: mail servers may change line ends, and every byte is signed.
                let bytes = Body::new_with_encoding(attachment.bytes.clone(), ContentTransferEncoding::Base64)
                    .map_err(|_| Unwritable("its attachment cannot be encoded".to_owned()))?;
                let parts = MultiPart::mixed()
                    // Of its own key: the same bytes at every try.
                    .boundary(format!("={}=", letter.key))
                    .singlepart(SinglePart::plain(ready.text.clone()))
                    .singlepart(lettre::message::Attachment::new(attachment.name.clone()).body(bytes, kind));
                message.multipart(parts)
            }
        };
        let message = message.map_err(|error| Unwritable(format!("cannot be written: {error}")))?;
        Ok(Written { envelope, bytes: message.formatted() })
    }

    /// RFC 2369 and, with an HTTPS base, RFC 8058: only a POST ends the mails, so that a scanner that follows links does
    /// not.
    fn unsubscribe_headers(&self, key: &str, to: &str) -> Vec<(HeaderName, String)> {
        let mailto = format!("<mailto:{}?subject=unsubscribe%20{key}>", self.unsubscribe_mail);
        let list = HeaderName::new_from_ascii_str("List-Unsubscribe");
        let url = match (&self.unsubscribe_url, &self.links) {
            (Some(url), _) => {
                let separator = if url.contains('?') { '&' } else { '?' };
                format!("{url}{separator}letter={key}")
            }
            (None, Some(links)) => links.of(to),
            (None, None) => return vec![(list, mailto)],
        };
        let mut headers = vec![(list, format!("<{url}>, {mailto}"))];
        if url.starts_with("https:") {
            let post = HeaderName::new_from_ascii_str("List-Unsubscribe-Post");
            headers.push((post, "List-Unsubscribe=One-Click".to_owned()));
        }
        headers
    }

    /// Subject and body.
    fn words(&self, letter: &Letter, recovered: &Recovered) -> Result<(String, String), Unwritable> {
        let Recovered { language, services } = recovered;
        let language = language.unwrap_or(self.language);
        let first = services.first().ok_or_else(|| Unwritable("speaks of no service".to_owned()))?;
        let count = services.len();
        let part = if count == 1 { Part::Subject } else { Part::SubjectOfSeveral };
        let (server, port) = (server(first), first.service.port());
        let subject = self.filled(language, part, context! { server, port, others => count - 1, count })?;
        let services = services.iter().map(|service| self.about(letter, service, language));
        let services = services.collect::<Result<Vec<_>, _>>()?.join("\n\n");
        let values = context! {
            services,
            client => first.client.to_string(),
            recovered => utc_and_local(letter.at, &self.zone),
            count,
            unsubscribe => self.unsubscribe_mail.to_string(),
        };
        let text = self.filled(language, Part::Text, values)?;
        let link = match (&self.links, language) {
            (None, _) => String::new(),
            (Some(links), Language::En) => format!("\nOr open {}\n", links.of(&letter.to)),
            (Some(links), Language::Ja) => format!("\nまたは次のページで停止できます。 {}\n", links.of(&letter.to)),
        };
        Ok((subject.replace(char::is_control, " "), text + "\n" + &link))
    }

    /// What the body says of one service.
    fn about(&self, letter: &Letter, service: &LetterService, language: Language) -> Result<String, Unwritable> {
        let time = |at| utc_and_local(at, &self.zone);
        let values = context! {
            server => server(service),
            port => service.service.port(),
            client => service.client.to_string(),
            since => time(service.since),
            recovered => time(letter.at),
            duration => phrase::duration(language, letter.at.since(service.since)),
            first => time(service.first),
            latest => time(service.latest),
            attempts => phrase::attempts(language, service.attempts),
            failure => phrase::failure(language, service.failure),
        };
        self.filled(language, Part::Service, values)
    }

    fn filled(&self, language: Language, part: Part, values: Value) -> Result<String, Unwritable> {
        let template = match language {
            Language::En => &self.english,
            Language::Ja => &self.japanese,
        };
        template.fill(part, values).map_err(|error| Unwritable(format!("its template does not work: {error}")))
    }
}

/// `www.example.net (192.0.2.7)`, or the plain address (F-16).
fn server(service: &LetterService) -> String {
    let addr = service.service.addr();
    match service.server_name.as_deref().map(|name| name.trim_end_matches('.')) {
        Some(name) if is_host_name(name) => format!("{name} ({addr})"),
        _ => addr.to_string(),
    }
}

/// The same address, its domain as A-labels (RFC 5890): every mail server understands them, also without SMTPUTF8. What is
/// before the `@` has no such form.
fn with_ascii_domain(address: Address) -> Address {
    if address.domain().is_ascii() {
        return address;
    }
    let ascii = idna::domain_to_ascii(address.domain()).ok().filter(|domain| is_host_name(domain));
    ascii.and_then(|domain| Address::new(address.user(), domain).ok()).unwrap_or(address)
}

fn parsed<T>(key: &'static str, value: &str, example: &'static str) -> Result<T, ComposerError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    value.parse().map_err(|error: T::Err| ComposerError::Address {
        key,
        value: value.to_owned(),
        reason: error.to_string(),
        example,
    })
}

fn check_https(url: &str) -> Result<(), ComposerError> {
    let host = url.strip_prefix("https://").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b','));
    match host {
        Some(host) if !host.is_empty() && plain => Ok(()),
        _ => Err(ComposerError::UnsubscribeUrl(url.to_owned())),
    }
}

#[cfg(test)]
#[path = "message_snapshots.rs"]
mod snapshots;
#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
