//! Two rules and two routes: what carries the kernel program's mark is delivered on this host, whatever its destination.
//!
//! They are removed when [`Steering`] is dropped, on every way out; after SIGKILL by `ringback cleanup` or the next start.

use std::net::{Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt as _;
use monitor_common::STEERED;
use nix::net::if_::if_nametoindex;
use rtnetlink::{
    Handle, RouteMessageBuilder,
    packet_route::{
        route::{RouteAttribute, RouteMessage, RouteScope, RouteType},
        rule::{RuleAction, RuleAttribute, RuleMessage},
    },
};

/// The routing table that is ours.
const TABLE: u32 = 7262;

/// Before the tables of others.
const PRIORITY: u32 = 100;

/// Why packets cannot be steered.
#[derive(Debug, thiserror::Error)]
pub enum SteeringError {
    /// No netlink socket.
    #[error("no netlink socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The kernel refused.
    #[error("{what} (table {TABLE}): {source}")]
    Refused {
        /// Which change.
        what: &'static str,
        /// Its word.
        source: rtnetlink::Error,
    },
    /// There is no `lo`.
    #[error("there is no interface lo")]
    NoLoopback,
}

/// The rules and routes, as long as it lives.
pub(super) struct Steering(());

impl Steering {
    /// Adds them; those that an earlier daemon left are removed first.
    pub(super) async fn add() -> Result<Self, SteeringError> {
        remove().await?;
        // From here on dropped if anything fails: what was added goes again.
        let steering = Self(());
        let lo = if_nametoindex("lo").map_err(|_| SteeringError::NoLoopback)?;
        with_handle(async |handle| {
            let refused = |what| move |source| SteeringError::Refused { what, source };
            let v4 = RouteMessageBuilder::<Ipv4Addr>::new().table_id(TABLE).kind(RouteType::Local);
            let v4 = v4.scope(RouteScope::Host).output_interface(lo).build();
            handle.route().add(v4).execute().await.map_err(refused("adding the IPv4 route"))?;
            let rule = || handle.rule().add().table_id(TABLE).priority(PRIORITY).fw_mark(STEERED);
            let rule = || rule().action(RuleAction::ToTable);
            rule().v4().execute().await.map_err(refused("adding the IPv4 rule"))?;
            let v6 = RouteMessageBuilder::<Ipv6Addr>::new().table_id(TABLE).kind(RouteType::Local);
            let v6 = v6.output_interface(lo).build();
            let added = handle.route().add(v6).execute().await;
            match added {
                Err(error) if is_unsupported(&error) => return Ok(()),
                added => added.map_err(refused("adding the IPv6 route"))?,
            }
            rule().v6().execute().await.map_err(refused("adding the IPv6 rule"))
        })
        .await?;
        Ok(steering)
    }
}

impl Drop for Steering {
    fn drop(&mut self) {
        // A runtime of its own, on a thread of its own: the daemon's may be on its way out.
        let removed = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(remove())
        });
        match removed.join() {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "routing rules are left: run `ringback cleanup`"),
            Err(_) => tracing::error!("routing rules are left: run `ringback cleanup`"),
        }
    }
}

/// Removes every rule and route of ours from this network namespace; says which.
pub async fn remove() -> Result<Vec<String>, SteeringError> {
    with_handle(async |handle| {
        let refused = |what| move |source| SteeringError::Refused { what, source };
        let mut removed = Vec::new();
        for version in [rtnetlink::IpVersion::V4, rtnetlink::IpVersion::V6] {
            let family = if matches!(version, rtnetlink::IpVersion::V4) { "IPv4" } else { "IPv6" };
            let rules: Vec<RuleMessage> = match handle.rule().get(version.clone()).execute().try_collect().await {
                Ok(rules) => rules,
                Err(error) if is_unsupported(&error) => continue,
                Err(error) => return Err(refused("reading the rules")(error)),
            };
            for rule in rules.into_iter().filter(is_our_rule) {
                handle.rule().del(rule).execute().await.map_err(refused("removing a rule"))?;
                removed.push(format!("{family} rule {PRIORITY}"));
            }
            let wanted = match version {
                rtnetlink::IpVersion::V4 => RouteMessageBuilder::<Ipv4Addr>::new().table_id(TABLE).build(),
                rtnetlink::IpVersion::V6 => RouteMessageBuilder::<Ipv6Addr>::new().table_id(TABLE).build(),
            };
            let routes: Vec<RouteMessage> =
                handle.route().get(wanted).execute().try_collect().await.map_err(refused("reading the routes"))?;
            for route in routes.into_iter().filter(is_our_route) {
                handle.route().del(route).execute().await.map_err(refused("removing a route"))?;
                removed.push(format!("{family} route of table {TABLE}"));
            }
        }
        Ok(removed)
    })
    .await
}

async fn with_handle<T>(work: impl AsyncFnOnce(Handle) -> Result<T, SteeringError>) -> Result<T, SteeringError> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let done = work(handle).await;
    connection.abort();
    done
}

fn is_our_rule(rule: &RuleMessage) -> bool {
    let has = |wanted: &RuleAttribute| rule.attributes.contains(wanted);
    has(&RuleAttribute::FwMark(STEERED)) && has(&RuleAttribute::Table(TABLE))
}

fn is_our_route(route: &RouteMessage) -> bool {
    route.header.kind == RouteType::Local && route.attributes.contains(&RouteAttribute::Table(TABLE))
}

/// The kernel does not know the family.
fn is_unsupported(error: &rtnetlink::Error) -> bool {
    let rtnetlink::Error::NetlinkError(message) = error else { return false };
    matches!(message.to_io().raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP))
}
