//! Clients that put themselves on a waiting list without having tried (B-2): by the command line, by HTTP at the page's own
//! address; with the limits of typed addresses.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

/// client1 has failed to reach server1.
struct Story<'a> {
    lab: &'a Lab,
    daemon: Daemon<'a>,
    service: SocketAddr,
}

impl<'a> Story<'a> {
    fn new(lab: &'a Lab, config: DaemonConfig) -> Result<Self> {
        let daemon = Daemon::start(lab.gateway(), config.text("watch.syn_timeout", "500ms"))?;
        let service = lab.server(1).service_v4(80);
        let nginx = HttpServer::start(lab.server(1), 80)?;
        assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        drop(nginx);
        assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Refused);
        daemon.wait_for(&["status"], LIMIT, |status| status["outages"].as_array().map(Vec::len) == Some(1))?;
        Ok(Self { lab, daemon, service })
    }

    /// `ringback waiting add`; what it says when it is refused.
    fn add(&self, more: &[&str]) -> Result<Option<String>> {
        let output = self.daemon.ringback(&[&["waiting", "add"], more].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || output.status.code() == Some(1), "{output:?}");
        Ok((!output.status.success()).then_some(said))
    }

    fn waiting(&self) -> Result<Vec<String>> {
        let lines = self.daemon.json(&["waiting"])?;
        let clients = lines.as_array().into_iter().flatten().filter_map(|line| line["client"].as_str());
        Ok(clients.map(str::to_owned).collect())
    }

    /// It answers again; who is told, in order.
    fn told(&self, count: usize) -> Result<Vec<String>> {
        let _nginx = HttpServer::start(self.lab.server(1), 80)?;
        self.daemon.wait_for(&["status"], LIMIT, |status| {
            // With the stand-in page a probe finds it; without, somebody's connection.
            let _ = self.lab.client(1).connect(None, self.service, LIMIT);
            status["outages"] == Value::Array(Vec::new())
        })?;
        let maildir = self.daemon.maildir();
        wait_until("they are told", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() >= count))?;
        let mut told: Vec<_> = maildir.mails()?.iter().filter_map(lab::Mail::to).collect();
        told.sort();
        Ok(told)
    }
}

// proves: B-2a
#[test]
fn a_client_that_has_not_tried_is_told_when_it_asked_to_be() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let story = Story::new(&lab, DaemonConfig::new().address(lab.client(2).v4(), "two@lab.test"))?;
    let [two, three] = [2, 3].map(|number| lab.client(number).v4().to_string());
    assert_eq!(story.add(&["1", &two])?, None);
    assert_eq!(story.add(&["1", &three, "--mail", "three@lab.test", "--language", "ja"])?, None);
    assert_eq!(story.waiting()?.len(), 3);
    let refused = story.add(&["7", &two])?.unwrap_or_default();
    assert!(refused.contains("there is no open outage 7"), "{refused}");
    assert!(story.add(&["1", &two, "--mail", "nobody"])?.is_some_and(|said| said.contains("not a mail address")));
    assert_eq!(story.told(2)?, ["three@lab.test", "two@lab.test"]);
    Ok(())
}

// proves: B-2a
#[test]
fn asking_has_the_limits_of_typed_addresses() -> Result<()> {
    let lab = Lab::builder().build()?;
    let config = DaemonConfig::new().set("standin.answers", "2").set("outage.max_unknown", "8");
    let story = Story::new(&lab, config)?;
    // A client twice a minute, whatever it says; another one is not held up by it.
    for said in [None, None, Some("too often")] {
        let refused = story.add(&["1", "198.51.100.1"])?;
        assert_eq!(refused.is_some(), said.is_some(), "{refused:?}");
        assert!(said.is_none_or(|said| refused.unwrap_or_default().contains(said)));
    }
    // An address five times an hour, for whichever client.
    for number in 1..=6 {
        let refused = story.add(&["1", &format!("198.51.100.1{number}"), "--mail", "Victim@lab.test"])?;
        assert_eq!(refused.is_some(), number == 6, "{number}: {refused:?}");
    }
    assert_eq!(story.waiting()?.len(), 7, "client1, one without an address, five with");
    // An outage lists so many attempts of clients that nobody can write to: three are there.
    for number in 1..=6 {
        let refused = story.add(&["1", &format!("198.51.100.2{number}")])?;
        assert_eq!(refused.is_some(), number == 6, "{number}: {refused:?}");
        assert!(refused.is_none_or(|said| said.contains("outage.max_unknown")));
    }
    assert_eq!(story.add(&["1", "198.51.100.26", "--mail", "six@lab.test"])?, None, "one with an address is listed");
    Ok(())
}

/// Status and body.
fn post(client: &Host, url: &str, kind: &str, body: &str) -> Result<(String, String)> {
    let mut curl = client.command("curl");
    curl.args(["-s", "-m", "10", "-w", "\n%{http_code}", "-H", &format!("Content-Type: {kind}"), "-d", body, url]);
    let said = String::from_utf8_lossy(&curl.output()?.stdout).into_owned();
    let (body, status) = said.rsplit_once('\n').unwrap_or_default();
    Ok((status.to_owned(), body.to_owned()))
}

// proves: B-2a
#[test]
fn a_client_asks_for_itself_at_the_page_s_own_address() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let client = lab.client(2);
    let gateway = format!("{}.1", client.v4().to_string().rsplit_once('.').map_or("", |(network, _)| network));
    let config = DaemonConfig::new()
        .set("standin.enabled", "true")
        .set("standin.answers", "4")
        .text("standin.own_listen", "0.0.0.0:8480")
        .text("standin.own_url", &format!("http://{gateway}:8480"))
        .text("recovery.probe", "200ms");
    let story = Story::new(&lab, config)?;
    let url = format!("http://{gateway}:8480/.ringback/waiting");
    let json = "application/json";
    let wish = format!(r#"{{"service":"{}","mail":"two@lab.test"}}"#, story.service);
    for (kind, body, status) in [
        // What a page of another site could post.
        ("text/plain", wish.as_str(), "415"),
        ("application/x-www-form-urlencoded", &wish, "415"),
        (json, "{", "400"),
        (json, r#"{"service":"198.51.100.1:80"}"#, "404"),
        (json, r#"{"service":"198.51.100.1:80","client":"192.0.2.1"}"#, "400"),
        (json, "{}", "400"),
        (json, &wish.replace("two@", "two"), "422"),
    ] {
        assert_eq!(post(client, &url, kind, body)?.0, status, "{body}");
    }
    assert!(!story.waiting()?.contains(&client.v4().to_string()));
    let (status, body) = post(client, &url, json, &wish)?;
    assert_eq!((status.as_str(), body.as_str()), ("200", r#"{"outage":1}"#));
    assert!(story.waiting()?.contains(&client.v4().to_string()));
    let answers: Vec<_> = (0..3).filter_map(|_| Some(post(client, &url, json, &wish).ok()?.0)).collect();
    assert_eq!(answers.last().map(String::as_str), Some("429"), "{answers:?}");
    assert_eq!(story.told(1)?, ["two@lab.test"]);
    Ok(())
}
