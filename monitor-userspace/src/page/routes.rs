//! What each request gets. Any path of the failed server is the page; a few paths under `/.ringback/` are ours.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Query, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, LOCATION, REFERRER_POLICY, RETRY_AFTER},
    },
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use monitor_core::domain::{Language, OutageId, UnixMs};
use monitor_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{self, Form, Outcome},
    counters::{Count, Counters},
    document::{Answered, PagePlace, Question},
    host_header,
    in_force::PageInForce,
    language,
    limits::Limits,
    server::Ends,
    subscribe,
    subscription::Subscriptions,
    token::{self, Key},
    view::{Failed, View},
    waiting,
    words::{self, Words},
};
use crate::{clock::Now as _, port::CoreHandle};

/// Seconds after which a program is to try again.
const RETRY_SECONDS: u32 = 30;

/// A form with the longest fields.
const LONGEST_BODY: usize = 8 * 1024;

/// A body must be there by then.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Our paths.
const ANSWER: &str = "/.ringback/answer";
const WAIT: &str = "/.ringback/wait";
const WAITING: &str = "/.ringback/waiting";
pub(super) const UNSUBSCRIBE: &str = "/.ringback/unsubscribe";

/// What the handlers need. Clones share it.
#[derive(Clone)]
pub(super) struct PageContext {
    pub(super) store: Store,
    pub(super) core: CoreHandle,
    pub(super) key: Arc<Key>,
    pub(super) view: View,
    pub(super) in_force: watch::Receiver<Arc<PageInForce>>,
    pub(super) limits: Arc<Limits>,
    pub(super) counters: Arc<Counters>,
    pub(super) own_url: Option<Arc<str>>,
}

impl PageContext {
    /// Looks again at what is failed.
    pub(super) async fn look(&self) -> Result<(), StoreError> {
        let in_force = self.in_force();
        self.view.look(&self.store, |server| in_force.certificates.are_for(server)).await
    }

    /// Settings, language and words for whoever sent these headers.
    fn style(&self, headers: &HeaderMap) -> Style {
        let in_force = self.in_force();
        let language = language::of(headers, in_force.language);
        Style { in_force, language, words: words::of(language) }
    }

    /// The settings at this moment.
    pub(super) fn in_force(&self) -> Arc<PageInForce> {
        Arc::clone(&self.in_force.borrow())
    }

    pub(super) fn subscriptions(&self) -> Subscriptions<'_> {
        Subscriptions { store: &self.store, core: &self.core, limits: &self.limits }
    }
}

/// How one client is spoken to.
struct Style {
    in_force: Arc<PageInForce>,
    language: Language,
    words: &'static Words,
}

impl Style {
    /// A page of one sentence.
    fn message(&self, status: StatusCode, text: &str) -> Response {
        (status, Html(self.in_force.document.message(self.words, text))).into_response()
    }
}

/// Every route.
pub(super) fn router(context: PageContext, closing: CancellationToken) -> Router {
    let wait = {
        let view = context.view.clone();
        move |Query(query): Query<WaitQuery>| async move { waiting::stream(view, OutageId(query.outage), closing) }
    };
    Router::new()
        .route(ANSWER, post(take_answer))
        .route(WAIT, get(wait))
        .route(WAITING, post(subscribe::subscribe))
        .route(UNSUBSCRIBE, get(ask_unsubscribe).post(unsubscribe))
        .fallback(page)
        .layer(middleware::from_fn(headers))
        .with_state(context)
}

#[derive(Deserialize)]
struct WaitQuery {
    outage: i64,
}

/// What every answer carries.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    // By this the page's script tells us from the real server.
    headers.insert("ringback", HeaderValue::from_static("stand-in"));
    response
}

/// Any path of a failed server.
async fn page(State(context): State<PageContext>, Extension(peers): Extension<Ends>, request: Request) -> Response {
    let Some(service) = peers.service else { return StatusCode::NOT_FOUND.into_response() };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let failed = match context.view.service(service) {
        Some(failed) => Some(failed),
        // The outage may be younger than the last look.
        None => context.look().await.ok().and_then(|()| context.view.service(service)),
    };
    let Some(failed) = failed else { return go_there(&path) };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read || wants_json(request.headers()) {
        context.counters.count(Count::Told);
        return unavailable_json(&failed);
    }
    context.counters.count(Count::Shown);
    let style = context.style(request.headers());
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).and_then(host_header::host);
    let asking = Asking { context: &context, peers, failed: &failed, style: &style };
    asking.question(host.unwrap_or_default(), host_header::path(&path), None, StatusCode::SERVICE_UNAVAILABLE)
}

/// This connection was opened before the recovery: the next one reaches the server.
fn go_there(path: &str) -> Response {
    let path = HeaderValue::from_str(host_header::path(path)).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(LOCATION, path), (RETRY_AFTER, HeaderValue::from_static("1"))];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// A program says so; what sends `*/*` gets the page.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("json") && !accept.contains("text/html")
}

/// What programs get.
#[derive(Serialize)]
struct Unavailable<'a> {
    error: &'static str,
    server: String,
    port: u16,
    server_name: Option<&'a str>,
    /// Milliseconds since the Unix epoch.
    since: i64,
    retry_after: u32,
}

fn unavailable_json(failed: &Failed) -> Response {
    let body = Unavailable {
        error: "server_down",
        server: failed.service.addr().to_string(),
        port: failed.service.port(),
        server_name: failed.name.as_deref(),
        since: failed.since.0,
        retry_after: RETRY_SECONDS,
    };
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, RETRY_SECONDS.to_string())], Json(body)).into_response()
}

/// One person who is asked about one server.
struct Asking<'a> {
    context: &'a PageContext,
    peers: Ends,
    failed: &'a Failed,
    style: &'a Style,
}

impl Asking<'_> {
    fn question(&self, host: &str, path: &str, mistake: Option<(&str, &str)>, status: StatusCode) -> Response {
        let context = self.context;
        let token = context.key.form(self.peers.client, self.failed.outage, UnixMs::now());
        // What was asked over TLS is not answered without.
        let own_url =
            context.own_url.as_deref().filter(|url| self.failed.scheme() == "http" || url.starts_with("https:"));
        let action = format!("{}{ANSWER}", own_url.unwrap_or_default());
        let scheme = self.failed.scheme();
        let question = Question { action: &action, token: &token, scheme, host, path, mistake };
        let document = &self.style.in_force.document;
        self.waiting(host, path, status, |place| document.question(place, self.failed, &question))
    }

    fn confirmation(&self, host: &str, path: &str, answered: &Answered<'_>) -> Response {
        let server = self.failed.server();
        let document = &self.style.in_force.document;
        self.waiting(host, path, StatusCode::OK, |place| document.confirmation(place, &server, answered))
    }

    /// A page that moves on by itself.
    fn waiting(
        &self,
        host: &str,
        path: &str,
        status: StatusCode,
        write: impl FnOnce(&PagePlace<'_>) -> String,
    ) -> Response {
        // Without random bytes the script does not run, and the page refreshes itself.
        let nonce = token::random::<16>().map(|bytes| token::hex(&bytes)).unwrap_or_default();
        let back = self.back(host, path);
        let wait = format!("{WAIT}?outage={}", self.failed.outage);
        let place = PagePlace {
            words: self.style.words,
            zone: &self.style.in_force.zone,
            nonce: &nonce,
            back: &back,
            wait: &wait,
        };
        let policy = format!(
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'nonce-{nonce}'; \
             connect-src 'self'; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            self.context.own_url.as_deref().unwrap_or_default()
        );
        let mut response = (status, Html(write(&place))).into_response();
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        response
    }

    /// Where the browser goes when the server is back: from our own address it must be told the whole way.
    fn back(&self, host: &str, path: &str) -> String {
        if self.peers.service.is_some() {
            return path.to_owned();
        }
        let scheme = self.failed.scheme();
        match host_header::host(host) {
            Some(host) => format!("{scheme}://{host}{path}"),
            None => format!("{scheme}://{}{path}", self.failed.service),
        }
    }
}

/// The form's answer.
async fn take_answer(
    State(context): State<PageContext>,
    Extension(peers): Extension<Ends>,
    request: Request,
) -> Response {
    let style = context.style(request.headers());
    let form = match form(request.into_body()).await {
        Ok(form) => form,
        Err(status) => {
            context.counters.count(Count::BadRequest);
            return status.into_response();
        }
    };
    let (host, path) = (host_header::host(&form.host).unwrap_or_default(), host_header::path(&form.path));
    let Some(outage) = context.key.outage_of(&form.token, peers.client, UnixMs::now()) else {
        context.counters.count(Count::Forged);
        return style.message(StatusCode::FORBIDDEN, style.words.too_old);
    };
    let Some(failed) = context.view.outage(outage) else {
        let server = peers.service.map_or_else(|| host.to_owned(), |service| service.addr().to_string());
        let scheme = if form.scheme == "https" { "https" } else { "http" };
        let back = if peers.service.is_some() { path.to_owned() } else { format!("{scheme}://{host}{path}") };
        return Html(style.in_force.document.back(style.words, &server, &back)).into_response();
    };
    let asking = Asking { context: &context, peers, failed: &failed, style: &style };
    let outcome = answer::keep(&context, peers.client, &failed, &form, style.language).await;
    context.counters.count(outcome.count());
    match outcome {
        Outcome::Registered { mail } => asking.confirmation(host, path, &Answered::Yes { mail: &mail }),
        Outcome::Declined => asking.confirmation(host, path, &Answered::No),
        Outcome::NotAnAddress => {
            let mistake = Some((style.words.not_an_address, form.mail.as_str()));
            asking.question(host, path, mistake, StatusCode::UNPROCESSABLE_ENTITY)
        }
        Outcome::TooOften => style.message(StatusCode::TOO_MANY_REQUESTS, style.words.too_often),
        Outcome::NotKept => style.message(StatusCode::SERVICE_UNAVAILABLE, style.words.not_kept),
    }
}

async fn form(body: Body) -> Result<Form, StatusCode> {
    serde_urlencoded::from_bytes(&whole(body).await?).map_err(|_| StatusCode::BAD_REQUEST)
}

/// A short body, in time.
pub(super) async fn whole(body: Body) -> Result<Bytes, StatusCode> {
    timeout(BODY_WITHIN, to_bytes(body, LONGEST_BODY))
        .await
        .map_err(|_| StatusCode::REQUEST_TIMEOUT)?
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
}

/// What a link in a mail carries.
#[derive(Deserialize)]
struct Link {
    mail: String,
    tag: String,
}

async fn ask_unsubscribe(State(context): State<PageContext>, headers: HeaderMap, Query(link): Query<Link>) -> Response {
    if !context.key.may_unsubscribe(&link.tag, &link.mail) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let style = context.style(&headers);
    Html(style.in_force.document.unsubscribe(style.words, &link.mail)).into_response()
}

/// By the page's button, or by a mail program (RFC 8058).
async fn unsubscribe(State(context): State<PageContext>, headers: HeaderMap, Query(link): Query<Link>) -> Response {
    if !context.key.may_unsubscribe(&link.tag, &link.mail) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let style = context.style(&headers);
    match context.store.unsubscribe(link.mail).await {
        Ok(left) => {
            // The core's copy only says who is known: an error means that the daemon stops.
            let _ = context.core.addresses_changed().await;
            context.counters.count(Count::Unsubscribed);
            style.message(StatusCode::OK, if left { style.words.by_operator } else { style.words.unsubscribed })
        }
        Err(error) => {
            tracing::warn!(%error, "an unsubscription was not kept");
            style.message(StatusCode::SERVICE_UNAVAILABLE, style.words.not_kept)
        }
    }
}
