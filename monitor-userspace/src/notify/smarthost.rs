//! `notify.smtp` and the keys around it -> where mail is handed over, and how that is kept private.

use std::{
    net::{IpAddr, Ipv6Addr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use monitor_core::{
    config::{self, Mistake, Mistakes},
    mail::{
        is_host_name,
        smtp::{Login, SmtpLimits},
    },
};
use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

use super::{error::NotifyError, smtp::Helo};
use crate::{host, secret, tls};

/// How long a mail server is spoken to in clear after its TLS has failed, where any certificate would have done.
const IN_CLEAR: Duration = Duration::from_secs(3600);

/// When the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SmtpEncryption {
    /// `smtp://`: when the server offers STARTTLS. Without a login, any certificate will do (RFC 7435): a mail server
    /// that could be impersonated with a false certificate could as well offer no STARTTLS.
    WhenOffered,
    /// `smtp+starttls://`: by STARTTLS or not at all, with a valid certificate.
    StartTls,
    /// `smtps://`: from the first byte, with a valid certificate.
    Implicit,
}

/// The mail server that takes our mails (F-20).
#[derive(Clone)]
pub(super) struct Smarthost {
    /// Host name or address, without brackets.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    pub(super) encryption: SmtpEncryption,
    pub(super) tls: Arc<ClientConfig>,
    /// The name that its certificate has to have.
    pub(super) name: ServerName<'static>,
    pub(super) credentials: Option<Credentials>,
    /// What we call ourselves in EHLO.
    pub(super) helo: Helo,
    pub(super) limits: SmtpLimits,
    /// Whether STARTTLS is left out for now.
    pub(super) clear: Clear,
    /// Whether the settings name certificates.
    is_pinned: bool,
}

/// User name and password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// Since when STARTTLS has been left out; shared by all sessions.
#[derive(Clone, Default)]
pub(super) struct Clear(Arc<Mutex<Option<Instant>>>);

impl Clear {
    pub(super) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn is_in_force(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|since| since.elapsed() < IN_CLEAR)
    }
}

impl std::fmt::Debug for Smarthost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self} {:?}", self.encryption)
    }
}

/// `mail.example.net:25`, as messages name it.
impl std::fmt::Display for Smarthost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Smarthost {
    /// The configured mail server; `None`: there is none, mails go into a Maildir.
    pub(super) fn load(settings: &config::Notify) -> Result<Option<Self>, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let credentials = mistakes.take_all(credentials(settings));
        let url = mistakes.take(settings.smtp.as_deref().map(parse).transpose());
        let helo = mistakes.take(helo(settings));
        let (Some(credentials), Some(url), Some(helo)) = (credentials, url, helo) else {
            return mistakes.or(None);
        };
        let Some((encryption, host, port)) = url else {
            if credentials.is_some() {
                mistakes.add(NotifyError::Alone { present: "smtp_user", absent: "smtp" });
            }
            return mistakes.or(Some(None));
        };
        let is_pinned = settings.smtp_ca_file.is_some();
        let tls = if encryption == SmtpEncryption::WhenOffered && credentials.is_none() && !is_pinned {
            tls::client_of_anybody()
        } else {
            tls::client(settings.smtp_ca_file.as_deref())
        };
        let path = settings.smtp_ca_file.clone().unwrap_or_default();
        let tls = mistakes.take(tls.map_err(|source| NotifyError::Certificates { path, source }));
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned());
        let url = settings.smtp.clone().unwrap_or_default();
        let name = mistakes.take(name.map_err(|_| NotifyError::Url { value: url, reason: "no host name" }));
        let (limits, clear) = (SmtpLimits::RFC_5321, Clear::default());
        let smarthost = || {
            let (tls, name) = (tls?, name?);
            Some(Some(Self { host, port, encryption, tls, name, credentials, helo, limits, clear, is_pinned }))
        };
        mistakes.or(smarthost())
    }

    /// The same with these times for its replies.
    pub(super) fn within(self, limits: SmtpLimits) -> Self {
        Self { limits, ..self }
    }

    /// Whether a session without TLS is as good where TLS fails: nobody asked for it, no password is sent, and no
    /// certificate was named.
    pub(super) fn may_go_in_clear(&self) -> bool {
        self.encryption == SmtpEncryption::WhenOffered && self.credentials.is_none() && !self.is_pinned
    }

    pub(super) const fn login(&self) -> Login {
        if self.credentials.is_some() { Login::Configured } else { Login::None }
    }
}

fn parse(url: &str) -> Result<(SmtpEncryption, String, u16), NotifyError> {
    let wrong = |reason| {
        // A password that somebody wrote into the URL must not reach the log.
        let shown = match (url.split_once("://"), url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
            _ => url.to_owned(),
        };
        NotifyError::Url { value: shown, reason }
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("no scheme"))?;
    let (encryption, default_port) = match scheme {
        "smtp" => (SmtpEncryption::WhenOffered, 25),
        "smtp+starttls" => (SmtpEncryption::StartTls, 587),
        "smtps" => (SmtpEncryption::Implicit, 465),
        _ => return Err(wrong("unknown scheme")),
    };
    if rest.contains('@') {
        return Err(wrong("user and password belong into smtp_user and smtp_password_file"));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(bracketed) => {
            let (addr, port) = bracketed.split_once(']').ok_or_else(|| wrong("`[` without `]`"))?;
            addr.parse::<Ipv6Addr>().map_err(|_| wrong("no IPv6 address in the brackets"))?;
            (addr, port)
        }
        None => rest.find(':').map_or((rest, ""), |colon| rest.split_at(colon)),
    };
    if host.parse::<IpAddr>().is_err() && !is_host_name(host.strip_suffix('.').unwrap_or(host)) {
        return Err(wrong("no host name"));
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("not a port"))?,
        None if port.is_empty() => default_port,
        None => return Err(wrong("not a port")),
    };
    Ok((encryption, host.to_owned(), port))
}

fn credentials(settings: &config::Notify) -> Result<Option<Credentials>, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let password = mistakes.take(settings.smtp_password_file.as_deref().map(password).transpose());
    match (&settings.smtp_user, &settings.smtp_password_file) {
        (Some(_), None) => mistakes.add(NotifyError::Alone { present: "smtp_user", absent: "smtp_password_file" }),
        (None, Some(_)) => mistakes.add(NotifyError::Alone { present: "smtp_password_file", absent: "smtp_user" }),
        _ => {}
    }
    let user = settings.smtp_user.clone();
    mistakes.or(password.map(|password| user.zip(password).map(|(user, password)| Credentials { user, password })))
}

fn password(path: &Path) -> Result<String, NotifyError> {
    let password = secret::read_line(path).map_err(NotifyError::Password)?;
    if password.is_empty() { Err(NotifyError::NoPassword(path.to_owned())) } else { Ok(password) }
}

/// The name of the settings, or this host's if it is a full one.
fn helo(settings: &config::Notify) -> Result<Helo, NotifyError> {
    if let Some(name) = &settings.smtp_helo_name {
        let is_literal = || name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(is_literal);
        let is_name = is_host_name(name) || is_literal();
        return if is_name { Ok(Helo::Name(name.clone())) } else { Err(NotifyError::HeloName(name.clone())) };
    }
    let name = host::name();
    Ok(if is_full_name(&name) { Helo::Name(name) } else { Helo::Address })
}

/// RFC 5321 section 4.1.3.
fn is_literal(text: &str) -> bool {
    text.strip_prefix("IPv6:")
        .map_or_else(|| text.parse::<std::net::Ipv4Addr>().is_ok(), |rest| rest.parse::<Ipv6Addr>().is_ok())
}

/// What mail servers that ask for a full name take: with a dot, without an underscore, not an address, and not one of those
/// that mean this host itself.
fn is_full_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    is_host_name(name)
        && name.contains('.')
        && !name.contains('_')
        && !last.bytes().all(|byte| byte.is_ascii_digit())
        && !["localdomain", "localhost"].contains(&last)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    fn error(settings: config::Notify) -> String {
        let mistakes = Smarthost::load(&settings).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes[0].to_string()
    }

    #[test]
    fn urls_name_encryption_host_and_port() {
        for (url, encryption, host, port) in [
            ("smtp://mail.example.net", SmtpEncryption::WhenOffered, "mail.example.net", 25),
            ("smtp://192.0.2.1:2525/", SmtpEncryption::WhenOffered, "192.0.2.1", 2525),
            ("smtp+starttls://mail.example.net", SmtpEncryption::StartTls, "mail.example.net", 587),
            ("smtps://[2001:db8::1]", SmtpEncryption::Implicit, "2001:db8::1", 465),
            ("smtps://[2001:db8::1]:4650", SmtpEncryption::Implicit, "2001:db8::1", 4650),
        ] {
            assert_eq!(parse(url).unwrap(), (encryption, host.to_owned(), port), "{url}");
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (url, reason) in [
            ("mail.example.net", "no scheme"),
            ("http://mail.example.net", "unknown scheme"),
            ("smtp://", "no host name"),
            ("smtp://a b", "no host name"),
            ("smtp://host:0", "not a port"),
            ("smtp://host:99999", "not a port"),
            ("smtp://[::1", "`[` without `]`"),
            ("smtp://[::1]25", "not a port"),
            ("smtp://[host]:25", "no IPv6 address"),
        ] {
            let text = Mistake::from(parse(url).unwrap_err()).to_string();
            assert!(text.contains(reason) && text.contains(url) && text.contains("smtps://host:465"), "{url}: {text}");
        }
        let text = parse("smtp://me:secret@host").unwrap_err().to_string();
        assert!(text.contains("smtp_password_file") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn half_a_login_and_unreadable_files_are_errors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret").unwrap();
        let with = |change: &dyn Fn(&mut config::Notify)| {
            let mut settings = config::Notify { smtp: Some("smtp://h".to_owned()), ..Default::default() };
            change(&mut settings);
            error(settings)
        };
        let absent = || Some(PathBuf::from("/absent/file"));
        assert!(with(&|s| s.smtp_user = Some("me".to_owned())).contains("smtp_password_file is not"));
        assert!(with(&|s| s.smtp_password_file = Some(file.path().to_owned())).contains("smtp_user is not"));
        let text = error(config::Notify {
            smtp: Some("smtp://h".to_owned()),
            smtp_user: Some("me".to_owned()),
            smtp_password_file: absent(),
            ..Default::default()
        });
        assert_eq!(
            text,
            "notify.smtp_password_file: /absent/file cannot be read: No such file or directory (os error 2)"
        );
        let text =
            error(config::Notify { smtp: Some("smtp://h".to_owned()), smtp_ca_file: absent(), ..Default::default() });
        assert!(text.starts_with("notify.smtp_ca_file: /absent/file cannot be read"), "{text}");
        let not_pem = tempfile::NamedTempFile::new().unwrap();
        let text = error(config::Notify {
            smtp: Some("smtp://h".to_owned()),
            smtp_ca_file: Some(not_pem.path().to_owned()),
            ..Default::default()
        });
        assert!(text.contains("holds no certificate"), "{text}");
    }

    #[test]
    fn the_password_is_what_one_sees_of_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "\u{feff}secret\r\n").unwrap();
        let settings = config::Notify {
            smtp_user: Some("user".to_owned()),
            smtp_password_file: Some(file.path().to_owned()),
            ..Default::default()
        };
        let expected = Credentials { user: "user".to_owned(), password: "secret".to_owned() };
        assert!(credentials(&settings).unwrap() == Some(expected));
    }

    // proves: R-2
    #[test]
    fn only_a_full_name_of_this_host_stands_in_ehlo() {
        for (name, is_full) in [
            ("gw.example.net", true),
            ("xn--wgv71a.jp", true),
            ("gw1", false),
            ("", false),
            ("(none)", false),
            ("gw_1.example.net", false),
            ("10.0.0.1", false),
            ("localhost.localdomain", false),
            ("gw.example.net.", false),
        ] {
            assert_eq!(is_full_name(name), is_full, "{name}");
        }
        let of = |name: &str| helo(&config::Notify { smtp_helo_name: Some(name.to_owned()), ..Default::default() });
        for right in ["gw.example.net", "gw1", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
            assert_eq!(of(right).unwrap(), Helo::Name(right.to_owned()));
        }
        for wrong in ["", "a b", "gw\r\nRSET", "[gw]", "[2001:db8::1]", "日本.jp"] {
            let text = Mistake::from(of(wrong).unwrap_err()).to_string();
            assert!(text.starts_with("notify.smtp_helo_name: ") && text.contains("gw.example.net"), "{text}");
        }
    }

    // proves: R-2
    #[test]
    fn only_who_asks_for_nothing_goes_on_in_clear() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret").unwrap();
        let load = |smtp: &str, change: &dyn Fn(&mut config::Notify)| {
            let mut settings = config::Notify { smtp: Some(smtp.to_owned()), ..Default::default() };
            change(&mut settings);
            Smarthost::load(&settings).unwrap().unwrap().may_go_in_clear()
        };
        let with_login = |settings: &mut config::Notify| {
            settings.smtp_user = Some("me".to_owned());
            settings.smtp_password_file = Some(file.path().to_owned());
        };
        assert!(load("smtp://h", &|_| ()));
        assert!(!load("smtp://h", &with_login));
        assert!(!load("smtp://h", &|settings| settings.smtp_ca_file = Some("tests/smtp/ca.pem".into())));
        assert!(!load("smtp+starttls://h", &|_| ()));
        assert!(!load("smtps://h", &|_| ()));
    }
}
