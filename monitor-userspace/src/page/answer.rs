//! What a person answered, from the form to the store.

use serde::Deserialize;
use tokio::{sync::oneshot, time::timeout};

use super::{counters::Count, routes::Context, view::Failed};
use crate::{
    config::{ClientNet, Language},
    daemon::Command,
    notify::{AddressEntry, Origin},
    outage::{ClientAddr, FailedAttempt, Failure, MonotonicNs, Observation, Standing, UnixMs},
    recovery::Reported,
};

/// RFC 5321 section 4.5.3.1.3, without the angle brackets.
const LONGEST_MAIL: usize = 254;

/// An answer that is not in the store by then is called not kept.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

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
    context: &Context,
    client: ClientAddr,
    failed: &Failed,
    form: &Form,
    language: Language,
) -> Outcome {
    if !context.limits.may_answer(client.ip()) {
        return Outcome::TooOften;
    }
    let kept = if form.answer == "no" {
        context.store.decline(failed.outage, client, UnixMs::now()).await.map(|()| Outcome::Declined)
    } else {
        let mail = form.mail.trim();
        let is_mail = mail.len() <= LONGEST_MAIL && mail.parse::<lettre::Address>().is_ok();
        if !is_mail {
            return Outcome::NotAnAddress;
        }
        if !context.limits.may_register(mail) {
            return Outcome::TooOften;
        }
        let entry = AddressEntry {
            client: ClientNet::host(client.ip()),
            mail: mail.to_owned(),
            language: Some(language),
            origin: Origin::Page,
            registered: UnixMs::now(),
        };
        let registered = context.store.register(failed.outage, client, entry).await;
        registered.map(|()| Outcome::Registered { mail: mail.to_owned() })
    };
    match kept {
        Ok(Outcome::Registered { mail }) => {
            if wait(context, client, failed).await.is_some() {
                Outcome::Registered { mail }
            } else {
                Outcome::NotKept
            }
        }
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::warn!(%error, "an answer was not kept");
            Outcome::NotKept
        }
    }
}

/// The client waits for this server (F-24), also where only known clients are remembered: it is one now.
async fn wait(context: &Context, client: ClientAddr, failed: &Failed) -> Option<()> {
    context.commands.send(Command::AddressesChanged).await.ok()?;
    let (committed, done) = oneshot::channel();
    let attempt = FailedAttempt {
        client,
        service: failed.service,
        evidence: Failure::KnownFailed,
        seen: MonotonicNs::now(),
        last_answer: None,
        at: UnixMs::now(),
        // Its SYN was counted when it passed.
        attempts: 0,
        standing: Standing::Learned,
        answers_seen: true,
        known: true,
    };
    let observation = Observation::Failed(attempt);
    context.reported.send(Reported { observation, seen: None, committed }).await.ok()?;
    timeout(LIMIT, done).await.ok()?.ok()
}
