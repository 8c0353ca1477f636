//! A gateway that sees the requests and never the answers: it says that it cannot tell, unless it may take the client's own
//! ACK for the answer (design rule 3).

use std::time::Duration;

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab};

const LIMIT: Duration = Duration::from_secs(15);
const CLIENT_GIVES_UP: Duration = Duration::from_millis(1200);

fn config() -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "300ms")
}

/// The server answers its client over a link of its own, past the gateway.
fn answer_past_the_gateway(lab: &Lab) -> Result<()> {
    let (client, server) = (lab.client(1), lab.server(1));
    server.ip(&[format!("link add past type veth peer name past netns {}", client.namespace())])?;
    client.ip(&["link set past up"])?;
    for key in ["ipv4/conf/all/rp_filter", "ipv4/conf/past/rp_filter"] {
        client.sysctl(key, "0")?;
    }
    server.ip(&["link set past up".to_owned(), format!("route add {}/32 dev past", client.v4())])
}

// proves: F-3a
#[test]
fn where_answers_are_never_seen_silence_is_not_judged_and_status_says_so() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    answer_past_the_gateway(&lab)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config().set("watch.servers", &format!("['{service}']")))?;
    let nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| status["ignored"]["cannot_tell"] == 1)?;
    let text = String::from_utf8(daemon.ringback(&["status"])?.stdout)?;
    assert!(text.contains("no answer of any server was seen yet"), "{text}");
    assert_eq!(daemon.status()?["waiting_clients"], 0);
    drop(nginx);
    Ok(())
}

// proves: F-3a F-12
#[test]
fn the_clients_own_ack_stands_for_the_answer_where_the_operator_says_so() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    answer_past_the_gateway(&lab)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config().set("watch.client_ack", "true"))?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    server.ip(&[format!("route replace blackhole {}/32", client.v4())])?;
    assert_eq!(client.connect(None, service, CLIENT_GIVES_UP)?, Attempt::TimedOut);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    server.ip(&[format!("route del blackhole {}/32", client.v4())])?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["outages", "--all"], LIMIT, |lines| {
        lines
            .as_array()
            .is_some_and(|lines| lines.len() == 1 && lines.iter().all(|line| line["ended_by"] == "answered"))
    })?;
    Ok(())
}
