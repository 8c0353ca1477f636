//! What a person answered, from the form to the store.

use monitor_core::domain::{ClientAddr, Language, UnixMs};
use serde::Deserialize;

use super::{counters::Count, routes::PageContext, subscription::Subscribed, view::Failed};
use crate::clock::Now as _;

/// The form's fields.
#[derive(Debug, Deserialize)]
pub(super) struct Form {
    #[serde(default)]
    pub(super) token: String,
    #[serde(default)]
    pub(super) scheme: String,
    #[serde(default)]
    pub(super) host: String,
    #[serde(default)]
    pub(super) path: String,
    #[serde(default)]
    pub(super) mail: String,
    #[serde(default)]
    pub(super) answer: String,
}

/// What became of it.
pub(super) enum Outcome {
    Registered { mail: String },
    Declined,
    NotAnAddress,
    TooOften,
    NotKept,
}

impl Outcome {
    pub(super) const fn count(&self) -> Count {
        match self {
            Self::Registered { .. } => Count::Registered,
            Self::Declined => Count::Declined,
            Self::NotAnAddress => Count::NotAnAddress,
            Self::TooOften => Count::TooOften,
            Self::NotKept => Count::NotKept,
        }
    }
}

/// Keeps the answer. What it says is in the store when this returns.
pub(super) async fn keep(
    context: &PageContext,
    client: ClientAddr,
    failed: &Failed,
    form: &Form,
    language: Language,
) -> Outcome {
    if form.answer == "no" {
        if !context.limits.may_answer(client.ip()) {
            return Outcome::TooOften;
        }
        return match context.store.decline(failed.outage, client, UnixMs::now()).await {
            Ok(()) => Outcome::Declined,
            Err(error) => {
                tracing::warn!(%error, "an answer was not kept");
                Outcome::NotKept
            }
        };
    }
    let mail = form.mail.trim();
    match context.subscriptions().subscribe(client, (failed.outage, failed.service), Some(mail), Some(language)).await {
        // Not listed: the outage has just ended. The address is on record for the next.
        Subscribed::Granted | Subscribed::NotListed => Outcome::Registered { mail: mail.to_owned() },
        Subscribed::NotAnAddress => Outcome::NotAnAddress,
        Subscribed::TooOften => Outcome::TooOften,
        Subscribed::NotKept => Outcome::NotKept,
    }
}
