//! Who is told that a peer is down or back (O-4), how often, and who may ask (O-7).

use anyhow::{Context as _, Result};
use lab::{Cluster, Daemon, DatabaseLock, Ways, wait_until};
use serde_json::Value;

use super::{LIMIT, SEVERAL_JUDGEMENTS, WATCH, mails, pair, sees, start, told};

// proves: O-2a O-4a O-4b
#[test]
fn a_restart_of_the_judge_tells_nothing_twice_and_forgets_no_outage() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let (mut first, mut second) = pair(&cluster)?;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    mails(&first, 2)?;
    first.kill9()?;
    first.launch()?;
    sees(&first, "host2", "down")?;
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    assert_eq!(mails(&first, 2)?.len(), 2);
    second.launch()?;
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-4a O-4b
#[test]
fn letters_that_the_store_does_not_take_are_written_when_it_does_and_once() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let (first, mut second) = pair(&cluster)?;
    let lock = DatabaseLock::take(&first)?;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    wait_until("the store refuses", 2 * LIMIT, || first.log().contains("letters about a peer are not written"))?;
    lock.release()?;
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    second.launch()?;
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-4a
#[test]
fn clients_of_another_system_are_not_told() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let client = cluster.client().v4();
    let lines = format!("{WATCH}clients = ['{client}']\n");
    let config = cluster.config(1, Ways::Front, &lines)?.address(client, "client@example.test");
    let first =
        Daemon::start(cluster.host(1), config.address([192, 0, 2, 7].into(), "client.of.another@example.test"))?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    second.launch()?;
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-7
#[test]
fn a_client_asks_over_http_how_the_peer_is_and_learns_no_more() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let service = cluster.host(1).service_v4(7412);
    let config = cluster.config(1, Ways::Front, WATCH)?.text("heartbeat.answer_listen", &service.to_string());
    let first = Daemon::start(cluster.host(1), config)?;
    let mut second = start(&cluster, 2, "")?;
    let ask = |path: &str| -> Result<Value> {
        let fetched = cluster.client().fetch_path(service, path, LIMIT)?;
        serde_json::from_str(&fetched.body).with_context(|| format!("{fetched:?}"))
    };
    sees(&first, "host2", "running")?;
    wait_until("the answer is fresh", LIMIT, || ask("/v1/peers/host2").is_ok_and(|peer| peer["state"] == "running"))?;
    let all = ask("/v1/peers")?;
    let peer = all[0].as_object().context("an object")?;
    assert_eq!(peer.keys().collect::<Vec<_>>(), ["name", "since", "state", "up"], "{all:#}");
    assert_eq!((&peer["name"], &peer["up"]), (&Value::from("host2"), &Value::from(true)));
    // Idle connections that fill every place go in time.
    let idle = cluster.client().enter(|| {
        (0..100).map(|_| std::net::TcpStream::connect_timeout(&service, LIMIT)).collect::<std::io::Result<Vec<_>>>()
    })??;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    let down = ask("/v1/peers/host2")?;
    assert_eq!((&down["state"], &down["up"]), (&Value::from("down"), &Value::from(false)), "{down:#}");
    drop(idle);
    let unknown = cluster.client().fetch_path(service, "/v1/peers/nobody", LIMIT)?;
    assert!(unknown.body.contains("no watched system has this name"), "{unknown:?}");
    // What operators can do is not there.
    for path in ["/v1/status", "/metrics", "/v1/standby/hand-over"] {
        assert!(cluster.client().fetch_path(service, path, LIMIT)?.body.is_empty(), "{path}");
    }
    second.launch()?;
    sees(&first, "host2", "running")?;
    wait_until("it is said", LIMIT, || ask("/v1/peers/host2").is_ok_and(|peer| peer["up"] == true))
}
