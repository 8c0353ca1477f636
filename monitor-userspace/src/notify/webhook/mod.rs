//! Webhooks: a notice as JSON, posted with a signature in place of being mailed (B-1).
//!
//! In: letters of the outbox whose recipient is `webhook:NAME`; their text is the body. Out: one HTTP POST per try, signed
//! as <https://www.standardwebhooks.com> says, so that receivers find a library for it. A 2xx is the delivery.

mod post;
mod secret;

use std::{collections::HashMap, fmt, fs, io, net::IpAddr, path::PathBuf, sync::Arc};

use hyper::Uri;
use monitor_core::{
    config::WebhookSetting,
    domain::{UnixMs, byte_order_mark::without_mark},
    mail::{Attempt, Content, Letter},
};
use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

use self::secret::Secrets;
use crate::tls::{self, TlsError};

/// What stands before the name in `notice.to`.
const PREFIX: &str = "webhook:";

/// The webhook that this recipient names; `None`: it is a mail address.
#[must_use]
pub fn name_of(recipient: &str) -> Option<&str> {
    recipient.strip_prefix(PREFIX)
}

/// A webhook that nothing can be posted to: the key below `[[webhook]]`, and what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Not a name.
    #[error("name `{0}`: write letters, digits, `-` and `_`")]
    Name(String),
    /// There is one of this name.
    #[error("name `{0}` is there already: keep one")]
    Twice(String),
    /// Not a URL.
    #[error("url {0}; write https://host/path, or http://127.0.0.1/path for this machine itself")]
    Url(&'static str),
    /// A file cannot be used.
    #[error("secret_file {path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no secret.
    #[error("secret_file {path}: {what}; make one by: echo whsec_$(openssl rand -base64 32)", path = path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Certificates cannot be used.
    #[error("ca_file {path} {source}", path = path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TlsProblem,
    },
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsProblem(#[from] TlsError);

/// Every `[[webhook]]`, by name.
#[derive(Clone, Debug, Default)]
pub struct Webhooks(Arc<HashMap<String, Webhook>>);

/// One of them.
struct Webhook {
    /// Whether it is `https`.
    encrypted: bool,
    /// Host name or address, without brackets.
    host: String,
    port: u16,
    /// As the `Host:` header has it.
    authority: String,
    path: String,
    name: ServerName<'static>,
    secrets: Secrets,
    tls: Arc<ClientConfig>,
}

/// Without the path, which may be a secret itself.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

impl Webhooks {
    /// Reads secrets and certificates; connects to nothing.
    ///
    /// # Errors
    /// The index of the first entry that cannot be used, and why.
    pub fn load(settings: &[WebhookSetting]) -> Result<Self, (usize, WebhookError)> {
        let mut webhooks = HashMap::new();
        for (index, setting) in settings.iter().enumerate() {
            let webhook = Webhook::new(setting).map_err(|error| (index, error))?;
            if webhooks.insert(setting.name.clone(), webhook).is_some() {
                return Err((index, WebhookError::Twice(setting.name.clone())));
            }
        }
        Ok(Self(Arc::new(webhooks)))
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
    fn new(setting: &WebhookSetting) -> Result<Self, WebhookError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if setting.name.is_empty() || !setting.name.chars().all(is_name) {
            return Err(WebhookError::Name(setting.name.clone()));
        }
        let uri: Uri = setting.url.parse().map_err(|_| WebhookError::Url("is not a URL"))?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(WebhookError::Url("is not one of https")),
        };
        let authority = uri.authority().ok_or(WebhookError::Url("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(WebhookError::Url("has a user or a password, which the signature replaces"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|addr| addr.is_loopback());
        if !encrypted && !is_here {
            return Err(WebhookError::Url("is not encrypted"));
        }
        let path = setting.secret_file.clone();
        let text = fs::read_to_string(&path).map_err(|source| WebhookError::Unreadable { path, source })?;
        let secrets = Secrets::parse(without_mark(&text))
            .map_err(|what| WebhookError::Secret { path: setting.secret_file.clone(), what })?;
        let tls = tls::client(setting.ca_file.as_deref()).map_err(|error| WebhookError::Certificates {
            path: setting.ca_file.clone().unwrap_or_default(),
            source: error.into(),
        })?;
        Ok(Self {
            encrypted,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            name: ServerName::try_from(host.to_owned()).map_err(|_| WebhookError::Url("has no host name"))?,
            secrets,
            tls,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
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
        let error = |settings: &[WebhookSetting]| Webhooks::load(settings).unwrap_err().1.to_string();
        for (url, authority, port, path) in [
            ("https://pager.example.net/in?a=b", "pager.example.net", 443, "/in?a=b"),
            ("https://pager.example.net:8443", "pager.example.net:8443", 8443, "/"),
            ("https://[2001:db8::1]:8443/x", "[2001:db8::1]:8443", 8443, "/x"),
            ("http://127.0.0.1:9000/x", "127.0.0.1:9000", 9000, "/x"),
        ] {
            let hook = Webhook::new(&setting("pager", url)).unwrap();
            assert_eq!((hook.authority.as_str(), hook.port, hook.path.as_str()), (authority, port, path), "{url}");
        }
        for (name, url, expected) in [
            ("a b", "https://x", "name `a b`: write letters"),
            ("a", "http://pager.example.net/", "url is not encrypted; write https://host/path"),
            ("a", "ftp://x", "url is not one of https"),
            ("a", "https://me:pw@x", "url has a user or a password"),
            ("a", "nothing at all", "url is not a URL"),
        ] {
            assert!(error(&[setting(name, url)]).starts_with(expected), "{}", error(&[setting(name, url)]));
        }
        assert!(error(&[setting("a", "https://x"), setting("a", "https://y")]).contains("is there already"));
        let absent = WebhookSetting { secret_file: "/absent".into(), ..setting("a", "https://x") };
        assert!(error(&[absent]).starts_with("secret_file /absent cannot be read"));
        let short = WebhookSetting { ca_file: Some(file.path().to_owned()), ..setting("a", "https://x") };
        assert!(error(&[short]).contains("holds no certificate"));
        fs::write(file.path(), "secret").unwrap();
        assert!(error(&[setting("a", "https://x")]).contains("whsec_$(openssl rand -base64 32)"));
    }
}
