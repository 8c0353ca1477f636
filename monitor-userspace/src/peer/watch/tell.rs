//! Telling people what happened to peers and shared addresses: to the journal, and to the outbox.
//!
//! In: events of the thread that exchanges heartbeats. Out: letters, once per event and person (O-4). A peer that goes down
//! and comes back is told to administrators and to the own clients; that shared addresses have moved, to administrators,
//! and not again within a minute, however often it happens (H-8).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use monitor_core::{
    config::{Config, PeerPath, PeerSetting},
    domain::{Language, UnixMs},
    heartbeat::{status::PeerNotice as Told, wire::Mode},
    mail::{
        Ready, ReadyLetter, notice,
        peer_words::{self, Words},
    },
    standby::machine::Why,
};
use monitor_store::{Store, StoreError};
use tokio::sync::{Notify, mpsc::UnboundedReceiver};

use crate::{
    clock::Now as _,
    host,
    peer::{
        Peers,
        command::{Command, Event},
    },
    standby::ModeChange,
};

/// Between two mails about one group of addresses.
const QUIET: Duration = Duration::from_secs(60);

/// Pause before letters that the store did not take are written again.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
pub(in crate::peer) struct Teller {
    own: String,
    language: Language,
    settings: Vec<PeerSetting>,
    store: Store,
    letters: Arc<Notify>,
    peers: Peers,
    /// When each group was last told of.
    mailed: HashMap<String, Instant>,
}

impl Teller {
    pub(in crate::peer) fn new(config: &Config, store: Store, letters: Arc<Notify>, peers: Peers) -> Self {
        Self {
            own: config.heartbeat.own_name(&host::name()),
            language: config.notify.language,
            settings: config.peer.clone(),
            store,
            letters,
            peers,
            mailed: HashMap::new(),
        }
    }

    /// Runs until the thread of the heartbeats has ended.
    pub(in crate::peer) async fn run(mut self, mut happened: UnboundedReceiver<Event>) {
        while let Some(event) = happened.recv().await {
            Self::journal(&event);
            while let Err(error) = self.write_about(&event).await {
                if happened.is_closed() {
                    tracing::error!(%error, "letters about a peer are not written; the next start tries again");
                    break;
                }
                tracing::error!(%error, "letters about a peer are not written; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    fn journal(event: &Event) {
        match event {
            Event::Mode(ModeChange { group, mode, why, .. }) => {
                tracing::info!(group, mode = mode.word(), why = why.words(), "standby");
            }
            Event::Notice { peer, notice: Told::Down, .. } => tracing::warn!(peer, "the peer is down"),
            Event::Notice { peer, notice: Told::Recovered, .. } => tracing::info!(peer, "the peer is back"),
        }
    }

    async fn write_about(&mut self, event: &Event) -> Result<(), StoreError> {
        match event {
            Event::Mode(ModeChange { group, mode, why, before, at }) => {
                self.moved(group, (*before, *mode), *why, *at).await
            }
            Event::Notice { peer, notice, at, since } => self.peer(peer, *notice, *at, *since).await,
        }
    }

    async fn peer(&self, peer: &str, told: Told, at: UnixMs, since: UnixMs) -> Result<(), StoreError> {
        let Some(setting) = self.settings.iter().find(|setting| setting.name == peer) else { return Ok(()) };
        let mut recipients: Vec<_> = setting.admin.iter().map(|mail| Recipient::admin(mail)).collect();
        for entry in self.store.addresses().await? {
            if setting.clients.iter().any(|net| net.net().contains(&entry.client.net())) {
                recipients.push(Recipient { mail: entry.mail, language: entry.language, in_book: true });
            }
        }
        let key = match told {
            Told::Down => "down",
            Told::Recovered => "recovered",
        };
        let write = |language| peer_words::about_peer(told, peer, &self.own, language);
        self.write(&format!("peer {peer} {key} {}", since.0), recipients, at, write).await?;
        let addresses = setting.paths.iter().filter_map(|path| match path {
            PeerPath::Udp(addr) => Some(addr.ip()),
            PeerPath::Link(_) => None,
        });
        let back = (told == Told::Recovered).then_some(at);
        let noted = notice::Peer { name: peer.to_owned(), addresses: addresses.collect(), since, back };
        self.store.note_peer(noted, UnixMs::now()).await?;
        // From here on a crash writes nothing again.
        let _ = self.peers.command(Command::Told(peer.to_owned(), told));
        Ok(())
    }

    /// A take-over, or the end of a split; what belongs to a start or a hand-over is only for the journal.
    async fn moved(
        &mut self,
        group: &str,
        (before, mode): (Mode, Mode),
        why: Why,
        at: UnixMs,
    ) -> Result<(), StoreError> {
        let told = matches!((before, mode, why), (Mode::Standby, Mode::Active, Why::NobodyActive))
            || matches!(why, Why::Yielded | Why::NotHeard | Why::Unfit | Why::Stalled);
        if !told || self.mailed.get(group).is_some_and(|mailed| mailed.elapsed() < QUIET) {
            return Ok(());
        }
        let admins = self.settings.iter().filter(|setting| setting.standby).flat_map(|setting| &setting.admin);
        let recipients = admins.map(|mail| Recipient::admin(mail)).collect();
        let event = format!("group {group} {} {} {}", self.own, mode.word(), at.0);
        let write = |language| peer_words::moved(group, &self.own, mode, why, language);
        self.write(&event, recipients, at, write).await?;
        self.mailed.insert(group.to_owned(), Instant::now());
        Ok(())
    }

    /// One letter per person, whatever the number of machines.
    async fn write(
        &self,
        event: &str,
        recipients: Vec<Recipient>,
        at: UnixMs,
        words: impl Fn(Language) -> Words,
    ) -> Result<(), StoreError> {
        // Names of peers are the operator's; a key is a file name too.
        let event = notice::digest(event);
        let mut seen = HashSet::new();
        let letters: Vec<_> = recipients
            .into_iter()
            .filter(|recipient| seen.insert(recipient.mail.to_lowercase()))
            .map(|Recipient { mail: to, language, in_book }| {
                let Words { subject, text } = words(language.unwrap_or(self.language));
                let key = notice::key(&event, &to);
                ReadyLetter { key, to, at, ready: Ready { subject, text, attachment: None, unsubscribe: in_book } }
            })
            .collect();
        if !letters.is_empty() && self.store.put_letters(letters).await? > 0 {
            self.letters.notify_one();
        }
        Ok(())
    }
}

/// Who is told.
struct Recipient {
    mail: String,
    language: Option<Language>,
    /// May leave the address book.
    in_book: bool,
}

impl Recipient {
    fn admin(mail: &str) -> Self {
        Self { mail: mail.to_owned(), language: None, in_book: false }
    }
}
