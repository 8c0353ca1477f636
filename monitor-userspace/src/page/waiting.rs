//! The stream that an open page listens to (server-sent events): one event, when the server is back (F-28).

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream;
use monitor_core::domain::OutageId;
use tokio_util::sync::CancellationToken;

use super::view::View;

/// A connection is ended before the kernel stops looking for it; browsers then connect again by themselves.
const LIFE: Duration = Duration::from_secs(200);

/// Something is sent this often: whoever is gone is found out.
const SIGN: Duration = Duration::from_secs(15);

/// The pause before a browser connects again.
const AGAIN: Duration = Duration::from_secs(1);

/// Says `back` when the outage is over, and ends then, at the end of its life, or when the daemon stops.
pub(super) fn stream(view: View, outage: OutageId, closing: CancellationToken) -> Response {
    enum State {
        First,
        Waiting,
        Done,
    }
    let events = stream::unfold((State::First, view, closing), move |(state, view, closing)| async move {
        match state {
            // Sent at once, so that the browser knows that the stream is open.
            State::First => Some((Ok::<_, Infallible>(Event::default().retry(AGAIN)), (State::Waiting, view, closing))),
            State::Waiting => tokio::select! {
                () = view.until_over(outage) => {
                    Some((Ok(Event::default().event("back").data("")), (State::Done, view.clone(), closing)))
                }
                () = closing.cancelled() => None,
                () = tokio::time::sleep(LIFE) => None,
            },
            State::Done => None,
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN)).into_response()
}
