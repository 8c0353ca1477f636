//! Operators are told of outages too, by server and kind of evidence.

use std::time::Duration;

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, wait_until};

const LIMIT: Duration = Duration::from_secs(15);

// proves: B-1
#[test]
fn operators_chosen_by_server_and_evidence_are_told_of_opening_and_end() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (server, service) = (lab.server(1), lab.server(1).service_v4(80));
    let config = DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .table(&format!("[[notice]]\nto = ['web@lab.test']\nservers = ['{}/32']\nevidence = ['refused']", server.v4()))
        .table("[[notice]]\nto = ['cables@lab.test']\nevidence = ['host-unreachable', 'net-unreachable']")
        .table("[[notice]]\nto = ['others@lab.test']\nservers = ['192.0.2.0/24']");
    let mut daemon = Daemon::start(lab.gateway(), config)?;
    let nginx = HttpServer::start(server, 80)?;
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    for client in lab.clients() {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    }
    let maildir = daemon.maildir();
    wait_until("the opening is told", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() == 1))?;
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 2)?;
    // It goes on over a restart, and is not told again.
    daemon.kill9()?;
    daemon.launch()?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    wait_until("the end is told", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() >= 2))?;
    let mails = maildir.mails()?;
    assert_eq!(mails.len(), 2, "nobody is in the address book, and the others are not meant: {mails:#?}");
    assert!(mails.iter().all(|mail| mail.to().as_deref() == Some("web@lab.test")), "{mails:#?}");
    let text: String = mails.iter().map(|mail| mail.text.as_str()).collect();
    assert!(text.contains(&format!("{service} is down: refused")), "{text}");
    assert!(text.contains(&format!("{service} is back")) && text.contains("2 clients"), "{text}");
    Ok(())
}
