//! Server address -> server name, by reverse DNS (F-16).
//!
//! A lookup never holds a mail up for longer than [`LOOKUP_LIMIT`], and never fails: without a usable name the letter
//! gives the plain address.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{Name, RData},
};
use monitor_core::{config, mail::is_host_name};
use tokio::sync::OnceCell;

/// The longest time that a letter waits for a name.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
/// How long an answer, and the lack of one, is believed.
const KEPT: Duration = Duration::from_secs(300);
/// Answers kept at the same time.
const KEPT_MAX: usize = 4096;

/// Looks server names up and remembers them for a while.
#[derive(Default)]
pub struct ServerNames {
    resolver: Option<TokioResolver>,
    kept: Mutex<HashMap<IpAddr, Kept>>,
}

/// One answer; the cell lets several delivery workers wait for one lookup.
struct Kept {
    answer: Arc<OnceCell<Option<String>>>,
    until: Instant,
}

impl std::fmt::Debug for ServerNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerNames").field("lookups", &self.resolver.is_some()).finish_non_exhaustive()
    }
}

impl ServerNames {
    /// By `dns_server`, else by the system's resolver configuration. A machine without a usable one gets no names.
    #[must_use]
    pub fn new(settings: &config::Notify) -> Self {
        if !settings.reverse_dns {
            return Self::default();
        }
        let builder = match settings.dns_server {
            Some(server) => Ok(TokioResolver::builder_with_config(only(server), TokioRuntimeProvider::default())),
            None => TokioResolver::builder_tokio(),
        };
        let resolver = builder.and_then(|mut builder| {
            builder.options_mut().timeout = LOOKUP_LIMIT;
            builder.build()
        });
        match resolver {
            Ok(resolver) => Self { resolver: Some(resolver), kept: Mutex::default() },
            Err(error) => {
                tracing::warn!(%error, "no reverse DNS: mails give plain addresses; set notify.dns_server or reverse_dns = false");
                Self::default()
            }
        }
    }

    /// The name of `server`, if reverse DNS gives one that may stand in a mail.
    pub async fn name_of(&self, server: IpAddr) -> Option<String> {
        let resolver = self.resolver.as_ref()?;
        let cell = self.cell(server);
        cell.get_or_init(|| async {
            let answer = tokio::time::timeout(LOOKUP_LIMIT, resolver.reverse_lookup(server)).await.ok()?.ok()?;
            answer.answers().iter().find_map(|record| match &record.data {
                RData::PTR(name) => printable(&name.0),
                _ => None,
            })
        })
        .await
        .clone()
    }

    fn cell(&self, server: IpAddr) -> Arc<OnceCell<Option<String>>> {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, entry| entry.until > now);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        let entry = kept.entry(server).or_insert_with(|| Kept { answer: Arc::default(), until: now + KEPT });
        if entry.until <= now {
            *entry = Kept { answer: Arc::default(), until: now + KEPT };
        }
        Arc::clone(&entry.answer)
    }
}

fn only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    ResolverConfig::from_name_servers(vec![NameServerConfig::new(server.ip(), true, connections.into())])
}

fn printable(name: &Name) -> Option<String> {
    let labels: Option<Vec<&str>> = name.iter().map(|label| std::str::from_utf8(label).ok()).collect();
    labels.map(|labels| labels.join(".")).filter(|name| is_host_name(name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_odd_bytes_is_not_used() {
        let odd = Name::from_labels([&b"www\r\nBcc: evil"[..], b"example", b"net"]).unwrap();
        assert_eq!(printable(&odd), None);
        let plain = Name::from_labels([&b"www"[..], b"example", b"net"]).unwrap();
        assert_eq!(printable(&plain).as_deref(), Some("www.example.net"));
    }

    // proves: F-16
    #[tokio::test]
    async fn a_name_server_that_says_nothing_costs_the_limit_once() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let settings = config::Notify { dns_server: Some(silent.local_addr().unwrap()), ..Default::default() };
        let names = ServerNames::new(&settings);
        let server = "192.0.2.7".parse().unwrap();
        let start = Instant::now();
        let (first, second) = tokio::join!(names.name_of(server), names.name_of(server));
        assert_eq!((first, second, names.name_of(server).await), (None, None, None));
        assert!(start.elapsed() < LOOKUP_LIMIT + Duration::from_millis(1500), "{:?}", start.elapsed());
    }
}
