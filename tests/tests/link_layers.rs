//! Interfaces whose frames are not plain Ethernet: tunnels without a link-layer header, PPPoE sessions, VLAN tags.

use std::time::Duration;

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, TUNNEL, Tunnel};

const LIMIT: Duration = Duration::from_secs(15);

/// The client reaches the server by a tunnel to the gateway.
fn lay(client: &Host, gateway: &Host, server: &Host) -> Result<Tunnel> {
    let tunnel = Tunnel::lay((client, &["10.9.0.2/24", "fd00:9::2/64"]), (gateway, &["10.9.0.1/24", "fd00:9::1/64"]))?;
    client.ip(&[
        format!("route replace {}/32 via 10.9.0.1 dev {TUNNEL}", server.v4()),
        format!("route replace {}/128 via fd00:9::1 dev {TUNNEL}", server.v6()),
    ])?;
    Ok(tunnel)
}

// proves: G-1
#[test]
fn clients_that_come_by_a_tunnel_are_seen() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    let _tunnel = lay(client, gateway, server)?;
    let config =
        DaemonConfig::new().text("watch.syn_timeout", "300ms").set("watch.interfaces", &format!("['{TUNNEL}']"));
    let daemon = Daemon::start(gateway, config)?;
    for service in [server.service_v4(80), server.service_v6(80)] {
        let nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        let _nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 0)?;
    }
    Ok(())
}
