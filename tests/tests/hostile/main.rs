//! Floods and forgeries: they cost no kernel memory, hide no outage, open and end none, and make nobody be mailed.
//!
//! Frames stay between the network namespaces of a lab, bounded in number and time.

mod floods;
mod forgeries;

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

/// The open outage of a service, if there is one.
fn outage_of(outages: &Value, service: SocketAddr) -> Option<&Value> {
    outages.as_array()?.iter().find(|line| line["service"] == service.to_string() && line["ended"].is_null())
}
