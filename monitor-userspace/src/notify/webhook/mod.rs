//! Webhooks: a notice as JSON, posted with a signature in place of being mailed (B-1).
//!
//! In: letters of the outbox whose recipient is `webhook:NAME`; their text is the body. Out: one HTTP POST per try, signed
//! as <https://www.standardwebhooks.com> says, so that receivers find a library for it. A 2xx is the delivery.

mod post;
mod secret;

use std::{collections::HashMap, fmt, net::IpAddr, path::PathBuf, sync::Arc};

use hyper::Uri;
use monitor_core::{
    config::{Key, Mistake, Mistakes, SecretError, WebhookSetting},
    domain::UnixMs,
    mail::{Attempt, Content, Letter},
};
use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

use self::secret::Secrets;
use crate::tls::{self, TlsError};

/// Why nothing can be posted to a webhook.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Not a name.
    #[error("`{0}` is not a name")]
    Name(String),
    /// There is one of this name.
    #[error("`{0}` is there already")]
    Twice(String),
    /// Not a URL.
    #[error("{0}")]
    Url(&'static str),
    /// The file with the secret cannot be used.
    #[error(transparent)]
    File(SecretError),
    /// It holds no secret.
    #[error("{}: {what}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Certificates cannot be used.
    #[error("{} {source}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
}

impl WebhookError {
    /// The mistake that it is in this entry.
    fn at(&self, entry: &Key) -> Mistake {
        let reason = self.to_string();
        match self {
            Self::Name(_) => Mistake::new(entry.to("name"), reason, "write letters, digits, `-` and `_`"),
            Self::Twice(_) => Mistake::new(entry.to("name"), reason, "keep one"),
            Self::Url(_) => {
                let remedy = "write https://host/path, or http://127.0.0.1/path for this machine itself";
                Mistake::new(entry.to("url"), reason, remedy)
            }
            Self::File(error) => error.at(entry.to("secret_file")),
            Self::Secret { .. } => {
                let remedy = "make one by: echo whsec_$(openssl rand -base64 32)";
                Mistake::new(entry.to("secret_file"), reason, remedy)
            }
            Self::Certificates { source, .. } => source.at(entry.to("ca_file"), reason),
        }
    }
}

/// Every `[[webhook]]`, by name.
#[derive(Clone, Debug, Default)]
pub struct Webhooks(Arc<HashMap<String, Webhook>>);

/// One of them.
struct Webhook {
    url: Url,
    secrets: Secrets,
    tls: Arc<ClientConfig>,
}

/// Where one is.
#[derive(Debug)]
struct Url {
    /// Whether it is `https`.
    encrypted: bool,
    /// Host name or address, without brackets.
    host: String,
    port: u16,
    /// As the `Host:` header has it.
    authority: String,
    path: String,
    name: ServerName<'static>,
}

/// Without the path, which may be a secret itself.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.authority)
    }
}

impl Webhooks {
    /// Reads secrets and certificates; connects to nothing.
    ///
    /// # Errors
    /// Everything by which the entries cannot be used.
    pub fn load(settings: &[WebhookSetting]) -> Result<Self, Vec<Mistake>> {
        let (mut mistakes, mut webhooks) = (Mistakes::default(), HashMap::new());
        for (index, setting) in settings.iter().enumerate() {
            let entry = Key::from("webhook").at(index);
            let name = setting.name.clone();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || !name.chars().all(is_plain) {
                mistakes.add(WebhookError::Name(name.clone()).at(&entry));
            } else if settings[..index].iter().any(|other| other.name == name) {
                mistakes.add(WebhookError::Twice(name.clone()).at(&entry));
            }
            let webhook = mistakes.take_all(Webhook::load(setting, &entry));
            webhooks.extend(webhook.map(|webhook| (name, webhook)));
        }
        mistakes.or(Some(Self(Arc::new(webhooks))))
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// One try to post this letter.
    pub(super) async fn post(&self, name: &str, letter: &Letter, now: UnixMs) -> Attempt {
        let Some(webhook) = self.0.get(name) else {
            // Perhaps a reload away.
            return Attempt::Deferred(format!("there is no [[webhook]] `{name}` in the configuration in force"));
        };
        let Content::Ready(ready) = &letter.says else {
            return Attempt::Refused("a letter to a client, to a webhook".to_owned());
        };
        post::post(webhook, &letter.key, &ready.text, now).await
    }
}

impl Webhook {
    fn load(setting: &WebhookSetting, entry: &Key) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let url = mistakes.take(Url::parse(&setting.url).map_err(|what| WebhookError::Url(what).at(entry)));
        let secrets = mistakes.take(secrets(setting).map_err(|error| error.at(entry)));
        let tls = tls::client(setting.ca_file.as_deref()).map_err(|source| {
            WebhookError::Certificates { path: setting.ca_file.clone().unwrap_or_default(), source }.at(entry)
        });
        let tls = mistakes.take(tls);
        let webhook = || Some(Self { url: url?, secrets: secrets?, tls: tls? });
        mistakes.or(webhook())
    }
}

fn secrets(setting: &WebhookSetting) -> Result<Secrets, WebhookError> {
    let text = crate::secret::read(&setting.secret_file, 0).map_err(WebhookError::File)?;
    Secrets::parse(&text).map_err(|what| WebhookError::Secret { path: setting.secret_file.clone(), what })
}

impl Url {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "is not a URL")?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("is not one of https"),
        };
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("has a user or a password, which the signature replaces");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|addr| addr.is_loopback());
        if !encrypted && !is_here {
            return Err("is not encrypted");
        }
        Ok(Self {
            encrypted,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            name: ServerName::try_from(host.to_owned()).map_err(|_| "has no host name")?,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn mistakes_name_the_key_and_the_way_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let setting = |name: &str, url: &str| WebhookSetting {
            name: name.to_owned(),
            url: url.to_owned(),
            secret_file: file.path().to_owned(),
            ca_file: None,
        };
        let error = |settings: &[WebhookSetting]| {
            let mistakes = Webhooks::load(settings).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            mistakes[0].to_string()
        };
        for (url, authority, port, path) in [
            ("https://pager.example.net/in?a=b", "pager.example.net", 443, "/in?a=b"),
            ("https://pager.example.net:8443", "pager.example.net:8443", 8443, "/"),
            ("https://[2001:db8::1]:8443/x", "[2001:db8::1]:8443", 8443, "/x"),
            ("http://127.0.0.1:9000/x", "127.0.0.1:9000", 9000, "/x"),
        ] {
            let hook = Url::parse(url).unwrap();
            assert_eq!((hook.authority.as_str(), hook.port, hook.path.as_str()), (authority, port, path), "{url}");
        }
        for (name, url, expected) in [
            ("a b", "https://x", "webhook[0].name: `a b` is not a name: write letters"),
            ("a", "http://pager.example.net/", "webhook[0].url: is not encrypted: write https://host/path"),
            ("a", "ftp://x", "webhook[0].url: is not one of https"),
            ("a", "https://me:pw@x", "webhook[0].url: has a user or a password"),
            ("a", "nothing at all", "webhook[0].url: is not a URL"),
        ] {
            assert!(error(&[setting(name, url)]).starts_with(expected), "{}", error(&[setting(name, url)]));
        }
        assert!(error(&[setting("a", "https://x"), setting("a", "https://y")]).contains("is there already"));
        let absent = WebhookSetting { secret_file: "/absent".into(), ..setting("a", "https://x") };
        assert!(error(&[absent]).starts_with("webhook[0].secret_file: /absent cannot be read"));
        let short = WebhookSetting { ca_file: Some(file.path().to_owned()), ..setting("a", "https://x") };
        assert!(error(&[short]).contains("holds no certificate"));
        fs::write(file.path(), "secret").unwrap();
        assert!(error(&[setting("a", "https://x")]).contains("whsec_$(openssl rand -base64 32)"));
    }
}
