//! The server's name by reverse DNS (F-16).

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::RData,
};
use tokio::time::timeout;

use super::message::clean_name;
use crate::config::Notify;

/// A mail does not wait longer for a name than this.
const LIMIT: Duration = Duration::from_secs(2);

/// How long an answer, also "none", is believed.
const KEEP: Duration = Duration::from_secs(300);

/// Most answers that are kept.
const MOST: usize = 4096;

/// Looks names up, and keeps the answers for a while.
#[derive(Clone)]
pub struct Names {
    resolver: Option<TokioResolver>,
    known: Arc<Mutex<HashMap<IpAddr, (Option<String>, Instant)>>>,
}

impl Names {
    /// Names as the settings say: the system's name servers, one of the operator's, or none.
    #[must_use]
    pub fn new(settings: &Notify) -> Self {
        let resolver = settings.reverse_dns.then(|| resolver(settings.dns_server)).flatten();
        Self { resolver, known: Arc::default() }
    }

    /// The name of the host at `addr`, if it has one and the name server says so in time.
    pub async fn lookup(&self, addr: IpAddr) -> Option<String> {
        let resolver = self.resolver.as_ref()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&addr).cloned();
        if let Some((name, until)) = known
            && until > Instant::now()
        {
            return name;
        }
        let name = match timeout(LIMIT, resolver.reverse_lookup(addr)).await {
            Ok(Ok(lookup)) => lookup.answers().iter().find_map(|record| match &record.data {
                RData::PTR(name) => clean_name(&name.0.to_ascii()).map(str::to_owned),
                _ => None,
            }),
            Ok(Err(_)) | Err(_) => None,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(addr, (name.clone(), Instant::now() + KEEP));
        name
    }
}

fn resolver(server: Option<SocketAddr>) -> Option<TokioResolver> {
    let built = match server {
        None => Resolver::builder_tokio().and_then(|builder| builder.build()),
        Some(addr) => {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = addr.port();
                connection
            });
            let server = NameServerConfig::new(addr.ip(), true, connections.into());
            let config = ResolverConfig::from_name_servers(vec![server]);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build()
        }
    };
    built.inspect_err(|error| tracing::warn!(%error, "no reverse DNS; mails show plain addresses")).ok()
}
