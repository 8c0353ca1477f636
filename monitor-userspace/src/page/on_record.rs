//! For whom the page is not: those whose mail address is on record, and not too old (F-27).

use monitor_core::{
    config::{Ask, StandIn},
    domain::{ClientNet, UnixMs},
    mail::Origin,
};
use monitor_store::StoreError;

use super::routes::PageContext;
use crate::clock::Now as _;

/// Networks with an address on record, and clients among them that are asked all the same.
pub(super) async fn of(context: &PageContext, settings: &StandIn) -> Result<Vec<(ClientNet, bool)>, StoreError> {
    if settings.ask == Ask::Everyone {
        return Ok(Vec::new());
    }
    let stale = UnixMs::now().before(settings.ask_again);
    let oldest = context.view.oldest();
    let entries = context.store.addresses().await?;
    Ok(entries
        .into_iter()
        .map(|entry| {
            let typed = entry.origin == Origin::Page;
            // Who has answered during an outage still sees the page until it ends: it says that, and moves on by itself.
            let just_typed = typed && oldest.is_some_and(|since| entry.registered >= since);
            (entry.client, !(just_typed || typed && entry.registered < stale))
        })
        .collect())
}
