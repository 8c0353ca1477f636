//! Everything that the settings say about sending: made once per start, shared by the delivery workers. Webhooks may
//! change while it is in use.

use std::{path::Path, sync::Arc};

use jiff::tz::TimeZone;
use monitor_core::{
    config::{self, Mistake, Mistakes, webhook_name},
    domain::UnixMs,
    mail::{Attempt, Backoff, Composer, Letter, UnsubscribeLinks, smtp::SmtpLimits},
};
use tokio::sync::watch;

use super::{
    lease::Lease,
    maildir::Maildir,
    server_name::ServerNames,
    smarthost::Smarthost,
    smtp::{Handed, SmtpSession},
    template_file,
    webhook::Webhooks,
};
use crate::clock::Now as _;

/// The folder of the Maildir under the state directory.
const MAILDIR: &str = "mail";

/// What the settings and the files that they name say about mails.
#[derive(Debug)]
pub struct Mail {
    composer: Composer,
    way: Way,
    names: ServerNames,
    backoff: Backoff,
    connections: u16,
    rate: u32,
}

impl Mail {
    /// Reads templates, password and certificates, and checks addresses and URLs. Sends nothing and makes no file.
    ///
    /// # Errors
    /// Every setting that mail cannot be sent with.
    pub fn load(settings: &config::Notify, state_dir: &Path) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let relay = mistakes.take_all(Smarthost::load(settings));
        let composer = mistakes.take_all(Composer::load(settings, TimeZone::system(), &template_file::read));
        let mail = || {
            Some(Self {
                composer: composer?,
                way: match relay? {
                    Some(relay) => Way::Smtp(Arc::new(relay)),
                    None => Way::Maildir(Maildir::new(state_dir.join(MAILDIR))),
                },
                names: ServerNames::new(settings),
                backoff: Backoff::new(settings),
                connections: settings.connections.max(1),
                rate: settings.rate,
            })
        };
        mistakes.or(mail())
    }

    /// The same that waits for a mail server's replies for so long, in place of what RFC 5321 asks for.
    #[must_use]
    pub fn within(self, limits: SmtpLimits) -> Self {
        let way = match self.way {
            Way::Smtp(relay) => Way::Smtp(Arc::new(Smarthost::clone(&relay).within(limits))),
            maildir @ Way::Maildir(_) => maildir,
        };
        Self { way, ..self }
    }

    /// Says [`Mail::remarks`] in the log.
    pub(crate) fn log_remarks(&self) {
        for remark in self.remarks() {
            tracing::warn!("notify.template_dir: {remark}");
        }
    }

    /// What works and should be changed some day.
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        self.composer.remarks()
    }
}

/// How letters are worded, and where they go.
#[derive(Debug)]
pub struct Delivery {
    composer: Composer,
    way: Way,
    names: Arc<ServerNames>,
    /// Those in force; what is on its way goes where it began to go.
    webhooks: watch::Receiver<Webhooks>,
    pub(super) backoff: Backoff,
    pub(super) connections: u16,
    pub(super) rate: u32,
}

#[derive(Clone, Debug)]
enum Way {
    Smtp(Arc<Smarthost>),
    Maildir(Maildir),
}

/// Why one letter could not be delivered now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotDelivered(String);

impl Delivery {
    /// Delivers mails, which end with these links, and posts to the webhooks in force where those are the recipients.
    #[must_use]
    pub fn new(mail: Mail, links: Option<UnsubscribeLinks>, webhooks: watch::Receiver<Webhooks>) -> Self {
        let Mail { composer, way, names, backoff, connections, rate } = mail;
        Self { composer: composer.linking(links), way, names: Arc::new(names), webhooks, backoff, connections, rate }
    }

    /// The same without links: following that of a test mail would end the tester's own mails.
    #[must_use]
    pub(crate) fn for_tests(&self) -> Self {
        Self {
            composer: self.composer.clone().linking(None),
            way: self.way.clone(),
            names: Arc::clone(&self.names),
            webhooks: self.webhooks.clone(),
            ..*self
        }
    }

    /// Without links and webhooks.
    #[must_use]
    pub fn of_mails(mail: Mail) -> Self {
        Self::new(mail, None, watch::channel(Webhooks::default()).1)
    }

    /// Where mails go, for people: `mail.example.net:25` or the Maildir's path.
    #[must_use]
    pub fn destination(&self) -> String {
        match &self.way {
            Way::Smtp(relay) => relay.to_string(),
            Way::Maildir(maildir) => maildir.path().display().to_string(),
        }
    }

    /// Whether there is a webhook of this name.
    #[must_use]
    pub fn has_webhook(&self, name: &str) -> bool {
        self.webhooks.borrow().has(name)
    }

    /// The names of servers. Asking when an outage opens makes the answer ready when it ends.
    #[must_use]
    pub fn names(&self) -> &Arc<ServerNames> {
        &self.names
    }

    /// Delivers one letter now, once, on a connection of its own: for `ringback test-mail`.
    ///
    /// # Errors
    /// What the mail server or the file system said.
    pub async fn deliver_now(&self, letter: &Letter) -> Result<(), NotDelivered> {
        let mut carrier = self.carrier();
        let attempt = carrier.carry(self, letter, None).await;
        carrier.rest().await;
        match attempt {
            Some(Attempt::Accepted) => Ok(()),
            Some(Attempt::Refused(reason) | Attempt::Deferred(reason) | Attempt::NoSession(reason)) => {
                Err(NotDelivered(reason))
            }
            Some(Attempt::Unknown(reason)) => Err(NotDelivered(format!("{reason}; it may have been taken"))),
            // Of a letter without a lease this is not said.
            None => Err(NotDelivered("not begun".to_owned())),
        }
    }

    pub(super) fn carrier(&self) -> Carrier {
        match &self.way {
            Way::Smtp(relay) => Carrier::Smtp { relay: Arc::clone(relay), session: None },
            Way::Maildir(maildir) => Carrier::Maildir(maildir.clone()),
        }
    }
}

/// Carries letters one after the other; keeps its connection between them.
pub(super) enum Carrier {
    Smtp { relay: Arc<Smarthost>, session: Option<Box<SmtpSession>> },
    Maildir(Maildir),
}

impl Carrier {
    /// Whether a connection is open that should not be kept for long.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Smtp { session: Some(_), .. })
    }

    /// Closes the connection, if there is one.
    pub(super) async fn rest(&mut self) {
        if let Self::Smtp { session, .. } = self
            && let Some(session) = session.take()
        {
            session.quit().await;
        }
    }

    /// What a try makes of its letter that was broken off; the connection is given up. `None`: the letter was not begun, or
    /// not sent to its end.
    pub(super) fn broken_off(&mut self) -> Option<Attempt> {
        let Self::Smtp { relay, session } = self else { return None };
        let taken = session.take().is_some_and(|session| session.may_have_been_taken());
        let said = || format!("mail server {relay}: no reply to the end of the message when Ringback was stopped");
        taken.then(|| Attempt::Unknown(said()))
    }

    /// One try to deliver `letter`, which is ours by this lease, if by any. `None`: the lease had ended before the message was
    /// sent, so somebody else may be sending it.
    pub(super) async fn carry(
        &mut self,
        delivery: &Delivery,
        letter: &Letter,
        lease: Option<&Lease>,
    ) -> Option<Attempt> {
        if let Some(name) = webhook_name(&letter.to) {
            let webhooks = delivery.webhooks.borrow().clone();
            return Some(webhooks.post(name, letter, UnixMs::now()).await);
        }
        let message = match delivery.composer.write(letter) {
            Ok(message) => message,
            Err(error) => return Some(Attempt::Refused(error.to_string())),
        };
        match self {
            Self::Maildir(maildir) => {
                let (maildir, key) = (maildir.clone(), letter.key.clone());
                let path = maildir.path().display().to_string();
                let written = tokio::task::spawn_blocking(move || maildir.deliver(&key, &message.bytes)).await;
                let failed = match written {
                    Ok(Ok(())) => return Some(Attempt::Accepted),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                // A full disk or wrong rights: nothing that speaks of this letter.
                Some(Attempt::NoSession(format!("cannot write a mail into {path}: {failed}")))
            }
            Self::Smtp { relay, session } => loop {
                // It stays in its place while it is used: whoever breaks this off can ask how far it has come.
                let open = match session {
                    Some(open) => open,
                    None => match SmtpSession::open(relay).await {
                        Ok(open) => session.insert(Box::new(open)),
                        Err(reason) => return Some(Attempt::NoSession(reason)),
                    },
                };
                let handed = open.hand_over(&message, lease).await;
                let is_used_up = open.is_used_up();
                match handed {
                    Handed::AndOpen(attempt) => {
                        if is_used_up && let Some(session) = session.take() {
                            session.quit().await;
                        }
                        return Some(attempt);
                    }
                    Handed::AndClosed(attempt) => {
                        *session = None;
                        return Some(attempt);
                    }
                    Handed::GivenBack => {
                        *session = None;
                        return None;
                    }
                    // Happens on a used session only, so at most once here.
                    Handed::NotBegun => *session = None,
                }
            },
        }
    }
}
