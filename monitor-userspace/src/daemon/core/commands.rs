//! What others ask the core to do: to read the address book again, to answer another gateway, to reload.

use anyhow::Result;
use monitor_core::{config::Config, domain::UnixMs, mail::AddressBook, outage::Question};
use monitor_store::{Store, StoreError};

use super::{Command, Core};

impl Core {
    pub(super) async fn obey(&mut self, command: Command) {
        match command {
            Command::AddressesChanged => match read_book(&self.wiring.book, &self.store, self.shared).await {
                Ok(book) => self.book = book,
                Err(error) => tracing::error!(%error, "the address book cannot be read again"),
            },
            Command::Asked(questions, answer) => {
                let heard = questions.iter().map(|question| self.hear(question)).collect();
                let _ = answer.send(heard);
            }
            Command::Reload(config, answer) => {
                let result = self.reload(&config).await;
                let _ = answer.send(result);
            }
        }
    }

    /// Up to when the service is known to have been well.
    fn hear(&self, question: &Question) -> Option<UnixMs> {
        self.kernel.hear(question).unwrap_or_else(|error| {
            tracing::error!(%error, "another gateway's question cannot be answered");
            None
        })
    }

    async fn reload(&mut self, config: &Config) -> Result<()> {
        let interfaces = crate::daemon::interfaces(config)?;
        self.kernel.reload(&config.watch, &interfaces).await?;
        self.machine.set_rules(config.rules());
        self.book = read_book(&self.wiring.book, &self.store, self.shared).await?;
        self.publish();
        Ok(())
    }
}

/// The address book; one that is shared is copied to `own`, and read there while it is out of reach.
pub(super) async fn read_book(book: &Store, own: &Store, shared: bool) -> Result<AddressBook, StoreError> {
    match book.addresses().await {
        Ok(entries) => {
            if shared {
                own.copy_addresses(&entries).await?;
            }
            Ok(AddressBook::new(entries))
        }
        Err(error) if shared => {
            tracing::warn!("the address book is this gateway's own copy");
            tracing::debug!(%error, "the address book");
            Ok(AddressBook::new(own.addresses().await?))
        }
        Err(error) => Err(error),
    }
}
