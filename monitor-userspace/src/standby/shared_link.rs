//! The interface that has the shared addresses. It may go away, come back as another one, and change its MAC address; and
//! somebody may take the gate off it. The gate, and the socket of announcements, follow.

use std::{io, net::IpAddr, time::Duration};

use monitor_core::domain::MonotonicNs;
use nix::net::if_::if_nametoindex;
use tokio::{runtime::Handle, time::timeout};

use super::announce::Announcer;
use crate::{
    interface::{self, has_link},
    kernel::Gate,
};

/// Between two looks whether the interface is still the same, and whether the gate is still on it.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_AT_GATE: Duration = Duration::from_millis(500);

/// The thread of the heartbeats may not be kept for longer.
const LONGEST: Duration = Duration::from_millis(100);

/// What tells one interface from another of the same name.
type Identity = (u32, [u8; 6]);

/// See the module.
pub(crate) struct SharedLink {
    interface: String,
    pub(super) gate: Gate,
    announcer: Option<Announcer>,
    /// What the gate and the announcer are for; `None`: there is no such interface.
    identity: Option<Identity>,
    trouble: Option<String>,
    next_look: MonotonicNs,
    next_look_at_gate: MonotonicNs,
    /// Attaching may need the kernel's answer; the thread of the heartbeats waits for it here.
    runtime: Handle,
}

impl SharedLink {
    /// Puts the gate on the interface; one that is not there yet is waited for.
    pub(crate) async fn new(interface: &str, gate: Gate) -> Self {
        let mut link = Self {
            interface: interface.to_owned(),
            gate,
            announcer: None,
            identity: None,
            trouble: None,
            next_look: MonotonicNs::default(),
            next_look_at_gate: MonotonicNs::default(),
            runtime: Handle::current(),
        };
        link.follow(identity(interface)).await;
        link
    }

    /// The MAC address that the interface has now; zeros if it is not there.
    pub(crate) fn mac(&self) -> [u8; 6] {
        self.identity.map_or([0; 6], |(_, mac)| mac)
    }

    /// Whether the interface has a link and the gate is on it.
    pub(super) fn is_fit(&self) -> bool {
        self.trouble.is_none() && has_link(&self.interface)
    }

    /// What keeps the addresses from being shared.
    pub(super) const fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }

    /// Looks at the interface. Says whether it is another one now, or has another MAC address: what others have in their
    /// caches is wrong then.
    pub(super) fn turn(&mut self, now: MonotonicNs) -> bool {
        if now < self.next_look {
            return false;
        }
        self.next_look = now + LOOK;
        let seen = identity(&self.interface);
        if seen == self.identity && now < self.next_look_at_gate {
            return false;
        }
        self.next_look_at_gate = now + LOOK_AT_GATE;
        let runtime = self.runtime.clone();
        runtime.block_on(self.follow(seen))
    }

    async fn follow(&mut self, seen: Option<Identity>) -> bool {
        if seen != self.identity {
            // Until it is for the new one, nothing is announced.
            self.announcer = None;
        }
        self.identity = seen;
        let is_another = self.announcer.is_none();
        let result = match seen {
            None => Err("there is no such interface".to_owned()),
            Some(identity) => match timeout(LONGEST, self.put(identity)).await {
                Ok(result) => result,
                // All was well at the last look, and the next one comes soon.
                Err(_) if !is_another => return false,
                Err(_) => Err("the kernel does not answer".to_owned()),
            },
        };
        let trouble = result.err().map(|error| format!("{}: {error}", self.interface));
        if trouble != self.trouble {
            match &trouble {
                Some(trouble) => tracing::error!(trouble, "the addresses are not shared"),
                None => tracing::info!(interface = self.interface, "the gate of the shared addresses is there again"),
            }
            self.trouble = trouble;
        }
        is_another && self.trouble.is_none()
    }

    async fn put(&mut self, (index, mac): Identity) -> Result<(), String> {
        if !self.gate.is_attached(index).await {
            self.gate.attach(index).await.map_err(|error| error.to_string())?;
        }
        if self.announcer.is_none() {
            self.gate.set_mac(mac).map_err(|error| error.to_string())?;
            self.announcer = Some(Announcer::open(index, mac).map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Tells everyone on the link who has these addresses.
    pub(super) fn announce(&self, addresses: &[IpAddr]) -> io::Result<()> {
        self.announcer.as_ref().ok_or(io::ErrorKind::NotFound)?.announce(addresses)
    }
}

fn identity(interface: &str) -> Option<Identity> {
    Some((if_nametoindex(interface).ok()?, interface::mac(interface).ok()?))
}
