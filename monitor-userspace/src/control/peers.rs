//! The routes about other hosts and shared addresses (O-7, H-8).

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::api::{ControlContext, Wrong};
use crate::peer::{Ended, PeersReport};

/// `ringback standby hand-over`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOverRequest {
    /// The group; absent: all that this host is active for.
    #[serde(default)]
    pub group: Option<String>,
}

pub(super) fn routes() -> Router<ControlContext> {
    Router::new().route("/v1/peers", get(peers)).route("/v1/standby/hand-over", post(hand_over))
}

impl From<Ended> for Wrong {
    fn from(error: Ended) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

async fn peers(State(context): State<ControlContext>) -> Result<Json<PeersReport>, Wrong> {
    report(&context).await.map(Json)
}

/// Empty where no heartbeats are exchanged.
pub(super) async fn report(context: &ControlContext) -> Result<PeersReport, Wrong> {
    match context.gateway().and_then(|view| view.peers.as_ref()) {
        Some(peers) => Ok(peers.report().await?),
        None => Ok(PeersReport::default()),
    }
}

async fn hand_over(
    State(context): State<ControlContext>,
    Json(request): Json<HandOverRequest>,
) -> Result<Json<Vec<String>>, Wrong> {
    let Some(peers) = context.gateway().and_then(|view| view.peers.as_ref()) else {
        return Err(Wrong(StatusCode::CONFLICT, "no address is shared: there is no [standby]".to_owned()));
    };
    let done = peers.hand_over(request.group).await?;
    done.map(Json).map_err(|error| Wrong(StatusCode::CONFLICT, error.to_string()))
}
