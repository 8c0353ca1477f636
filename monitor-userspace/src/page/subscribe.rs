//! A program of a client asks to be told of the end of an outage, at our own address or in the failed server's name (B-2).

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use monitor_core::domain::{Language, OutageId, Service};
use serde::{Deserialize, Serialize};

use super::{
    counters::Count,
    routes::{PageContext, whole},
    server::Ends,
    subscription::Subscribed,
};

/// What is posted. The client is whoever posts it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// `192.0.2.7:443`; in the failed server's name it may be left out.
    service: Option<Service>,
    /// Absent: the address on record.
    mail: Option<String>,
    language: Option<Language>,
}

/// What is answered.
#[derive(Serialize)]
struct Listed {
    outage: OutageId,
}

pub(super) async fn subscribe(
    State(context): State<PageContext>,
    Extension(peers): Extension<Ends>,
    request: Request,
) -> Response {
    // A page of another site can make a browser post a form, and only with the right to ask first, this.
    if !is_json(request.headers()) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "post application/json\n").into_response();
    }
    let asked: Asked = match whole(request.into_body()).await {
        Err(status) => return status.into_response(),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(asked) => asked,
            Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        },
    };
    let Some(service) = asked.service.or(peers.service) else {
        return (StatusCode::BAD_REQUEST, "say which service: {\"service\": \"192.0.2.7:443\"}\n").into_response();
    };
    let outage = match context.store.open_outage(service).await {
        Ok(Some(outage)) => outage,
        Ok(None) => return (StatusCode::NOT_FOUND, "no outage of that service is known\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "outages cannot be read");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let mail = asked.mail.as_deref().map(str::trim);
    let became = context.subscriptions().subscribe(peers.client, (outage, service), mail, asked.language).await;
    context.counters.count(match became {
        Subscribed::Granted => Count::Registered,
        Subscribed::NotAnAddress => Count::NotAnAddress,
        Subscribed::TooOften => Count::TooOften,
        Subscribed::NotListed | Subscribed::NotKept => Count::NotKept,
    });
    match became {
        Subscribed::Granted => Json(Listed { outage }).into_response(),
        Subscribed::NotAnAddress => (StatusCode::UNPROCESSABLE_ENTITY, "that is no mail address\n").into_response(),
        Subscribed::TooOften => (StatusCode::TOO_MANY_REQUESTS, "too often: try again in a while\n").into_response(),
        Subscribed::NotListed => (StatusCode::CONFLICT, "not listed: say at which mail address\n").into_response(),
        Subscribed::NotKept => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
