//! The lab: clients, a gateway and servers in network namespaces, with real programs in them.
//!
//! A test builds a [`Lab`], starts programs on its [`Host`]s, and drops it all; nothing of it touches the interfaces or
//! routes of the machine itself. What a test leaves behind because it was killed is removed by the [reaper](namespace).
//!
//! ```text
//! client1 ──┐                        ┌── server1   10.1.N.2, fd00:1:N::2  clients
//! client2 ──┤ gateway (the daemon)   ├── server2   10.2.N.2, fd00:2:N::2  servers
//!           └────────────────────────┘             .1, ::1              the gateway in each network
//! ```

pub mod app_server;
pub mod attempt;
pub mod authority;
pub mod browser;
pub mod cluster;
pub mod curl;
pub mod daemon;
pub mod daemon_config;
pub mod database_lock;
pub mod flood;
pub mod forged;
pub mod frame_socket;
pub mod gateway_pair;
pub mod guarded;
pub mod host;
pub mod http_server;
pub mod knocking;
pub mod mail;
pub mod mail_host;
pub mod mail_sink;
pub mod namespace;
pub mod odd_mail_server;
pub mod owners;
pub mod path;
mod peers;
pub mod pop3_gate;
pub mod postgres;
pub mod process;
pub mod scripted_mailbox;
pub mod standin;
pub mod topology;
pub mod tunnel;
pub mod unreliable_mail_server;
pub mod wait;
mod wall_clock;
pub mod webhook_server;
mod wire;
pub mod xdp_pass;

pub use app_server::AppServer;
pub use attempt::{Attempt, Fetched};
pub use authority::{Authority, Certificate};
pub use browser::{Browser, Look};
pub use cluster::{Cluster, Ways};
pub use curl::{Seen, curl};
pub use daemon::{Daemon, counter, learn, program};
pub use daemon_config::DaemonConfig;
pub use database_lock::DatabaseLock;
pub use flood::Flood;
pub use frame_socket::{FrameListener, FrameSocket};
pub use gateway_pair::GatewayPair;
pub use host::Host;
pub use http_server::HttpServer;
pub use knocking::Knocking;
pub use mail::{Mail, Maildir};
pub use mail_host::MailHost;
pub use mail_sink::MailSink;
pub use odd_mail_server::{OddMailServer, OddReply};
pub use owners::Owners;
pub use path::{Cut, Forwarder, Path, Traffic, Way};
pub use pop3_gate::{Fault, Pop3Gate};
pub use postgres::Postgres;
pub use process::Process;
pub use scripted_mailbox::{ScriptedMail, ScriptedMailbox};
pub use topology::{Lab, LabBuilder, Wiring};
pub use tunnel::{TUNNEL, Tunnel};
pub use unreliable_mail_server::{Arrival, Manner, UnreliableMailServer};
pub use wait::wait_until;
pub use wall_clock::WallClock;
pub use webhook_server::WebhookServer;
pub use xdp_pass::XdpPass;
