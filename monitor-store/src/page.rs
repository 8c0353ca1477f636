//! What clients answer to the stand-in page.

use monitor_core::{
    domain::{ClientAddr, OutageId, UnixMs},
    mail::AddressEntry,
};

use crate::{Store, StoreError, tables};

impl Store {
    /// The client does not want to be told of the end of this outage (F-23).
    pub async fn decline(&self, outage: OutageId, client: ClientAddr, at: UnixMs) -> Result<(), StoreError> {
        self.database.write(move |session| tables::page::decline(session.conn, outage, client, at)).await
    }

    /// Puts what a client typed into the address book (F-24). An entry of another origin for the same client stays.
    pub async fn register(&self, outage: OutageId, client: ClientAddr, entry: AddressEntry) -> Result<(), StoreError> {
        self.database.write(move |session| tables::page::register(session, outage, client, &entry)).await
    }

    /// Removes this address wherever it was typed; says whether it is still in the book, by the operator's hand.
    pub async fn unsubscribe(&self, mail: String) -> Result<bool, StoreError> {
        self.database.write(move |session| tables::page::unsubscribe(session, &mail)).await
    }

    /// Deletes addresses that were typed before; says how many.
    pub async fn forget_typed(&self, before: UnixMs) -> Result<u64, StoreError> {
        self.database.write(move |session| tables::page::forget(session, before)).await
    }
}
