//! The API's routes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use monitor_core::{
    config::webhook_name,
    domain::{ClientAddr, ClientNet, MonotonicNs, OutageId, UnixMs},
    mail::{Content, ReadyLetter, notice, sample},
    outage::Observation,
};
use monitor_store::{Store, StoreError, WaitingClient};
use serde::Deserialize;
use tokio::{sync::watch, time::timeout};

use super::{
    SharedView, metrics,
    report::{AddressLine, Health, OutageLine, ServiceLine, StatusReport, TestMailRequest, WaitingRequest},
    status::{line, report},
};
use crate::{
    clock::Now as _,
    core::State as CoreState,
    guard::GuardLine,
    notify::Delivery,
    page::{Limits, PageView, Subscribed, Subscriptions},
    port::CoreHandle,
    recovery::signal::SignalRequest,
    relay::MailboxPoller,
};

/// What the handlers need of the daemon.
#[derive(Clone)]
pub struct ControlContext {
    /// Reads, and changes of the address book.
    pub store: Store,
    /// The way to the core; at a relay to what stands in its place.
    pub core: CoreHandle,
    /// What test mails are delivered by: the configuration in force.
    pub delivery: watch::Receiver<Arc<Delivery>>,
    /// Counters of the SNMP manager, if it runs.
    pub snmp: Option<Arc<crate::recovery::snmp::Counters>>,
    /// The mailbox that is looked into, if there is one.
    pub mailbox: Option<MailboxPoller>,
    /// Pieces of address books that were imported.
    pub imports: Arc<AtomicU64>,
    /// When the daemon started.
    pub started: UnixMs,
    /// What it does.
    pub role: Role,
}

/// What a daemon does.
#[derive(Clone)]
pub enum Role {
    /// It watches traffic (`ringback run`).
    Gateway(Arc<GatewayView>),
    /// It watches nothing, and mails the clients on gateways' lists (`ringback relay`).
    Relay,
}

/// What only a gateway has to show.
pub struct GatewayView {
    /// The core's numbers.
    pub core: watch::Receiver<CoreState>,
    /// The guards.
    pub guards: watch::Receiver<Vec<GuardLine>>,
    /// The stand-in page, if it is on.
    pub page: Option<PageView>,
    /// How much one client may ask for.
    pub limits: Arc<Limits>,
    /// The database that is shared with other gateways, if there is one; [`ControlContext::store`] is that one.
    pub shared: Option<SharedView>,
    /// The exchange of heartbeats, if there is one.
    pub peers: Option<crate::peer::Peers>,
}

impl ControlContext {
    /// What a gateway has to show.
    pub(super) fn gateway(&self) -> Option<&GatewayView> {
        match &self.role {
            Role::Gateway(view) => Some(view),
            Role::Relay => None,
        }
    }

    pub(super) fn shared(&self) -> Option<&SharedView> {
        self.gateway()?.shared.as_ref()
    }

    /// What can be read now: the shared database, or what this gateway has itself while that is out of reach.
    pub(super) async fn within_reach(&self) -> &Store {
        let Some(shared) = self.shared() else { return &self.store };
        let cut_off = shared.state.borrow().cut_off.is_some();
        let answers =
            async { timeout(SILENCE, self.store.outbox().next_due()).await.is_ok_and(|answer| answer.is_ok()) };
        if cut_off || !answers.await { shared.local.store() } else { &self.store }
    }

    fn guards(&self) -> Vec<GuardLine> {
        self.gateway().map(|view| view.guards.borrow().clone()).unwrap_or_default()
    }
}

/// A shared database that does not answer within this is not waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// An import that has brought no further piece by then has broken off.
const NEXT_PIECE: Duration = Duration::from_secs(20);

/// Most lines of one answer.
pub(super) const MOST: u32 = 10_000;

/// Every route.
pub fn router(context: ControlContext) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/outages", get(outages))
        .route("/v1/waiting", get(waiting).post(add_waiting))
        .route("/v1/services", get(services))
        .route("/v1/guards", get(guards))
        .route("/v1/addresses", get(addresses).post(put_addresses))
        .route("/v1/addresses/{*client}", delete(remove_address))
        .route("/v1/signal", post(signal))
        .route("/v1/test-mail", post(test_mail))
        .route("/metrics", get(metrics_page))
        .route("/health", get(health))
        .merge(super::peers::routes())
        .with_state(context)
}

/// The metrics alone, for the network.
pub fn metrics_router(context: ControlContext) -> Router {
    Router::new().route("/metrics", get(metrics_page)).route("/health", get(health)).with_state(context)
}

/// An answer that says what went wrong, in one line.
pub(super) struct Wrong(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

fn stopping() -> Wrong {
    Wrong(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping".to_owned())
}

async fn status(State(context): State<ControlContext>) -> Result<Json<StatusReport>, Wrong> {
    Ok(Json(report(&context).await?))
}

#[derive(Deserialize)]
struct OutageQuery {
    #[serde(default)]
    ended: bool,
    limit: Option<u32>,
}

async fn outages(
    State(context): State<ControlContext>,
    Query(query): Query<OutageQuery>,
) -> Result<Json<Vec<OutageLine>>, Wrong> {
    let limit = query.limit.unwrap_or(100).min(MOST);
    Ok(Json(context.within_reach().await.outages(query.ended, limit).await?.into_iter().map(line).collect()))
}

#[derive(Deserialize)]
struct WaitingQuery {
    outage: Option<i64>,
    limit: Option<u32>,
}

async fn waiting(
    State(context): State<ControlContext>,
    Query(query): Query<WaitingQuery>,
) -> Result<Json<Vec<WaitingClient>>, Wrong> {
    let limit = query.limit.unwrap_or(1000).min(MOST);
    Ok(Json(context.within_reach().await.waiting(query.outage.map(OutageId), limit).await?))
}

/// B-2: the outage must be open. The limits are those of typed addresses.
async fn add_waiting(
    State(context): State<ControlContext>,
    Json(request): Json<WaitingRequest>,
) -> Result<Json<bool>, Wrong> {
    let WaitingRequest { outage, client, mail, language } = request;
    // Requests may name an IPv4 address in its IPv6 form.
    let client = ClientAddr::new(client.ip());
    let open = context.store.outages(false, MOST).await?;
    let found = open.into_iter().find(|record| record.outage.id == outage);
    // A relay has no open outages.
    let Some((record, view)) = found.zip(context.gateway()) else {
        return Err(Wrong(StatusCode::NOT_FOUND, format!("there is no open outage {outage}: see `ringback outages`")));
    };
    let ControlContext { store, core, .. } = &context;
    let subscriptions = Subscriptions { store, core, limits: &view.limits };
    let wanted = (outage, record.outage.service);
    let (status, what) = match subscriptions.subscribe(client, wanted, mail.as_deref(), language).await {
        Subscribed::Granted => return Ok(Json(true)),
        Subscribed::NotAnAddress => {
            (StatusCode::BAD_REQUEST, format!("`{}` is not a mail address", mail.unwrap_or_default()))
        }
        Subscribed::TooOften => {
            let what = format!("too often: {client} or this mail address was named too often; try again in a while");
            (StatusCode::TOO_MANY_REQUESTS, what)
        }
        Subscribed::NotListed => {
            let what = format!(
                "{client} is not listed: the outage is over, or it lists no more clients that are not on record \
                 (watch.remember, outage.max_unknown); give a mail address"
            );
            (StatusCode::CONFLICT, what)
        }
        Subscribed::NotKept => return Err(stopping()),
    };
    Err(Wrong(status, what))
}

async fn services(State(context): State<ControlContext>) -> Result<Json<Vec<ServiceLine>>, Wrong> {
    let watched = context.shared().map_or(&context.store, |shared| shared.local.store());
    let services = watched.learned_services().await?;
    Ok(Json(services.into_iter().map(|(service, answered)| ServiceLine { service, answered }).collect()))
}

async fn guards(State(context): State<ControlContext>) -> Json<Vec<GuardLine>> {
    Json(context.guards())
}

async fn addresses(State(context): State<ControlContext>) -> Result<Json<Vec<AddressLine>>, Wrong> {
    let entries = context.store.addresses().await?;
    Ok(Json(entries.into_iter().map(AddressLine::from).collect()))
}

#[derive(Deserialize)]
struct PutQuery {
    /// Further pieces of the same import follow.
    #[serde(default)]
    more: bool,
}

async fn put_addresses(
    State(context): State<ControlContext>,
    Query(query): Query<PutQuery>,
    Json(lines): Json<Vec<AddressLine>>,
) -> Result<Json<usize>, Wrong> {
    let entries = AddressLine::entries(lines, UnixMs::now()).map_err(|what| Wrong(StatusCode::BAD_REQUEST, what))?;
    let count = entries.len();
    context.store.put_addresses(entries).await?;
    let piece = context.imports.fetch_add(1, Ordering::Relaxed) + 1;
    if query.more {
        // The core reads the whole book again. If no further piece comes, it does so all the same.
        tokio::spawn(async move {
            tokio::time::sleep(NEXT_PIECE).await;
            if context.imports.load(Ordering::Relaxed) == piece {
                let _ = context.core.addresses_changed().await;
            }
        });
    } else {
        context.core.addresses_changed().await.map_err(|_| stopping())?;
    }
    Ok(Json(count))
}

async fn remove_address(
    State(context): State<ControlContext>,
    Path(client): Path<String>,
) -> Result<Json<bool>, Wrong> {
    let client: ClientNet = client.parse().map_err(|what| Wrong(StatusCode::BAD_REQUEST, what))?;
    if !context.store.remove_address(client).await? {
        return Err(Wrong(StatusCode::NOT_FOUND, AddressLine::absent(client)));
    }
    context.core.addresses_changed().await.map_err(|_| stopping())?;
    Ok(Json(true))
}

async fn signal(
    State(context): State<ControlContext>,
    Json(request): Json<SignalRequest>,
) -> Result<(StatusCode, Json<bool>), Wrong> {
    let signal = Observation::Signal { target: request.target.into(), at: MonotonicNs::now() };
    context.core.observed(signal).await.map_err(|_| stopping())?;
    Ok((StatusCode::ACCEPTED, Json(true)))
}

async fn test_mail(
    State(context): State<ControlContext>,
    Json(request): Json<TestMailRequest>,
) -> Result<Json<String>, Wrong> {
    let delivery = Arc::clone(&context.delivery.borrow());
    let wrong = |what: String| Wrong(StatusCode::BAD_REQUEST, what);
    let mut letter = sample::test_mail(request.to, None, UnixMs::now());
    match webhook_name(&letter.to) {
        Some(name) if !delivery.has_webhook(name) => {
            return Err(wrong(format!("there is no [[webhook]] with the name `{name}`")));
        }
        Some(_) => {
            let ReadyLetter { key, ready, .. } = notice::test_message(&letter.to, UnixMs::now());
            (letter.key, letter.says) = (key, Content::Ready(ready));
        }
        None => {
            let parsed = letter.to.parse::<lettre::Address>();
            parsed.map_err(|error| wrong(format!("`{}` is not a mail address: {error}", letter.to)))?;
        }
    }
    delivery.deliver_now(&letter).await.map_err(|error| match webhook_name(&letter.to) {
        Some(_) => Wrong(StatusCode::BAD_GATEWAY, error.to_string()),
        None => Wrong(StatusCode::BAD_GATEWAY, format!("{}: {error}", delivery.destination())),
    })?;
    Ok(Json(match webhook_name(&letter.to) {
        Some(_) => format!("{} took the test", letter.to),
        None => format!("{} took the mail to {}", delivery.destination(), letter.to),
    }))
}

async fn health(State(context): State<ControlContext>) -> Result<(StatusCode, Json<Health>), Wrong> {
    let health = report(&context).await?.health;
    let status = if health == Health::Ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(health)))
}

async fn metrics_page(State(context): State<ControlContext>) -> Result<Response, Wrong> {
    let hosts = super::peers::report(&context).await?;
    let guards = context.guards();
    let text = metrics::encode(&report(&context).await?, &hosts, &guards);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(axum::http::header::CONTENT_TYPE, kind)], text).into_response())
}
