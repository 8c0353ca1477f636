//! How the daemon is asked and told: an HTTP API on a Unix socket, and the client of it that the command line uses.
//!
//! In: requests of operators (`curl --unix-socket` works as well). Out: public structs as JSON whose shape is kept, and
//! Prometheus metrics. Reads go to the store; what changes the machine goes to the core and is answered after its commit.

mod api;
mod client;
mod metrics;
mod peers;
mod report;
mod shared;
mod socket;
mod status;

pub use self::{
    api::{ControlContext, GatewayView, Role, metrics_router, router},
    client::{Client, ClientError},
    peers::HandOverRequest,
    report::{
        AddressLine, CertificateLine, Health, InterfaceLine, Loss, OutageLine, ServiceLine, SharedLine, StatusReport,
        TestMailRequest, WaitingRequest, Word,
    },
    shared::{ReplicationState, SharedView},
    socket::{SocketError, listen},
};
pub use crate::recovery::signal::{SignalRequest, Target};
