//! `notify.smtp` and the keys around it -> where mail is handed over, and how that is kept private.

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

use lettre::transport::smtp::{
    authentication::Credentials,
    client::{Certificate, TlsParameters},
    extension::ClientId,
};
use monitor_core::{
    config::{self, Mistake, Mistakes},
    mail::is_host_name,
};

use super::error::NotifyError;
use crate::secret;

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
    pub(super) tls: TlsParameters,
    pub(super) credentials: Option<Credentials>,
    /// What we call ourselves in EHLO.
    pub(super) hello: ClientId,
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
        let url = settings.smtp.as_deref().map(parse).transpose();
        let certificate = settings.smtp_ca_file.as_deref().map(certificate).transpose();
        let (url, certificate) = (mistakes.take(url), mistakes.take(certificate));
        let (Some(credentials), Some(url), Some(certificate)) = (credentials, url, certificate) else {
            return mistakes.or(None);
        };
        let Some((encryption, host, port)) = url else {
            if credentials.is_some() {
                mistakes.add(NotifyError::Alone { present: "smtp_user", absent: "smtp" });
            }
            return mistakes.or(Some(None));
        };
        let mut tls = TlsParameters::builder(host.clone());
        if let Some(certificate) = certificate {
            tls = tls.add_root_certificate(certificate);
        } else if encryption == SmtpEncryption::WhenOffered && credentials.is_none() {
            tls = tls.dangerous_accept_invalid_certs(true).dangerous_accept_invalid_hostnames(true);
        }
        let tls = mistakes.take(tls.build_rustls().map_err(|error| NotifyError::Tls(error.to_string())));
        mistakes.or(tls.map(|tls| Some(Self { host, port, encryption, tls, credentials, hello: hello() })))
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
    mistakes.or(password.map(|password| user.zip(password).map(|(user, password)| Credentials::new(user, password))))
}

fn password(path: &Path) -> Result<String, NotifyError> {
    let password = secret::read_line(path).map_err(NotifyError::Password)?;
    if password.is_empty() { Err(NotifyError::NoPassword(path.to_owned())) } else { Ok(password) }
}

fn certificate(path: &Path) -> Result<Certificate, NotifyError> {
    let pem = fs::read(path).map_err(|source| NotifyError::Unreadable { path: path.to_owned(), source })?;
    let wrong = || NotifyError::Certificate(path.to_owned());
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong());
    }
    Certificate::from_pem(&pem).map_err(|_| wrong())
}

/// This machine's name; `[127.0.0.1]` when it has no usable one.
fn hello() -> ClientId {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim_end();
    if is_host_name(name) { ClientId::Domain(name.to_owned()) } else { ClientId::default() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::PathBuf;

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
        let expected = Credentials::new("user".to_owned(), "secret".to_owned());
        assert!(credentials(&settings).unwrap() == Some(expected));
    }
}
