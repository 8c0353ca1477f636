//! Settings of webhooks (B-1).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[[webhook]]`: where notices are posted to; `notice.to` names it as `webhook:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSetting {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// `https://…`; `http://…` only to this machine itself.
    pub url: String,
    /// File with one or two secrets that sign what is posted, a line each: `whsec_` and base64 of 24 to 64 bytes.
    pub secret_file: PathBuf,
    /// File with certificates (PEM) to trust besides the system's authorities.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// What `notice.to` begins with when it names a webhook.
const WEBHOOK: &str = "webhook:";

/// The webhook that this recipient names; `None`: it is a mail address.
#[must_use]
pub fn webhook_name(recipient: &str) -> Option<&str> {
    recipient.strip_prefix(WEBHOOK)
}
