//! Two gateways that share a database, each with a client of its own.
//!
//! ```text
//! client1 ── gateway a ──┐
//!                        ├── server1     all on one switch, with a database on server3
//! client2 ── gateway b ──┘
//! ```

use anyhow::Result;

use crate::{Host, Lab, Postgres, Wiring};

/// The second gateway's own number in every network.
pub const B: u8 = 254;

/// See the module. Each client host has two addresses per family.
#[derive(Debug)]
pub struct GatewayPair {
    /// What it is made of.
    pub lab: Lab,
}

impl GatewayPair {
    /// Builds it. Needs root.
    pub fn new() -> Result<Self> {
        let lab =
            Lab::builder().clients(2).addresses_per_client(2).servers(3).wiring(Wiring::SingleInterface).build()?;
        let pair = Self { lab };
        let b = pair.b();
        b.sysctl("ipv4/ip_forward", "1")?;
        for host in [pair.lab.gateway(), b] {
            for key in ["ipv4/conf/all/rp_filter", "ipv4/conf/eth0/rp_filter"] {
                host.sysctl(key, "0")?;
            }
            for key in ["ipv4/conf/all/send_redirects", "ipv4/conf/eth0/send_redirects"] {
                host.sysctl(key, "0")?;
            }
        }
        b.ip(&["10.1.1", "10.1.2", "10.2.1", "10.2.3"].map(|net| format!("address add {net}.{B}/24 dev eth0")))?;
        // The second client's way, there and back, is by the second gateway.
        pair.client(2).ip(&[format!("route replace default via 10.1.2.{B}")])?;
        pair.server().ip(&[format!("route add {}/32 via 10.2.1.{B}", pair.client(2).v4())])?;
        Ok(pair)
    }

    /// The first gateway.
    #[must_use]
    pub fn a(&self) -> &Host {
        self.lab.gateway()
    }

    /// The second one.
    #[must_use]
    pub fn b(&self) -> &Host {
        self.lab.server(2)
    }

    /// The client of this number.
    #[must_use]
    pub fn client(&self, number: usize) -> &Host {
        self.lab.client(number)
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Host {
        self.lab.server(1)
    }

    /// Starts the database.
    pub fn database(&self) -> Result<Postgres<'_>> {
        Postgres::start(self.lab.server(3))
    }
}
