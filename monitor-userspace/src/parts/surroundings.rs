//! What is around the daemon, looked at without a change to it: could it start here and now?
//!
//! In: settings. Out: a mistake for everything that the start would fail at, and for
//! what would not work after it.

mod addresses;
mod folders;
mod links;
mod rights;

use std::os::unix::net::UnixStream;

use monitor_core::{
    config::{Config, Mistake, Mistakes},
    domain::UnixMs,
};

use crate::{clock::Now as _, page};

/// What this process may not do that a role in the configuration needs.
pub(super) fn missing_rights(config: &Config) -> Vec<Mistake> {
    let mut mistakes = Mistakes::default();
    rights::look_for_roles(config, &mut mistakes);
    mistakes.into_vec()
}

/// Every mistake there.
pub(super) async fn look(config: &Config) -> Vec<Mistake> {
    let mut mistakes = Mistakes::default();
    // A daemon that runs has the ports and the interfaces itself.
    let is_running = UnixStream::connect(&config.control.socket).is_ok();
    if !is_relay(config) {
        links::look(config, is_running, &mut mistakes).await;
        rights::look(config, &mut mistakes);
        folders::pins(config, &mut mistakes);
    }
    folders::state(config, &mut mistakes);
    if !is_running {
        addresses::look(config, &mut mistakes);
    }
    mistakes.extend(page::out_of_date(&config.standin.tls, UnixMs::now()));
    mistakes.into_vec()
}

/// Whether it is the configuration of a relay, which needs nothing of the kernel: only a relay takes gateways' lists.
#[must_use]
pub fn is_relay(config: &Config) -> bool {
    !config.gateway.is_empty()
}
