//! The lab itself: what the stories rest on, proven without the daemon.

use std::{
    env, fs,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use lab::{Attempt, Host, HttpServer, Lab, MailSink, Wiring, wait_until};

const LIMIT: Duration = Duration::from_secs(5);

fn both_families(server: &Host) -> [SocketAddr; 2] {
    [server.service_v4(80), server.service_v6(80)]
}

fn namespaces_of(prefix: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/run/netns") else { return Vec::new() };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

#[test]
fn clients_reach_the_server_through_the_gateway() -> Result<()> {
    for wiring in [Wiring::InterfacePerHost, Wiring::SingleInterface] {
        let lab = Lab::builder().clients(2).wiring(wiring).build()?;
        let _nginx = HttpServer::start(lab.server(1), 80)?;
        for client in lab.clients() {
            for service in both_families(lab.server(1)) {
                let page = client.fetch(service, LIMIT)?;
                assert_eq!(page.body, "this is server1\n", "{wiring:?}, {} to {service}: {page:?}", client.name());
            }
        }
        // Nothing passes beside the gateway.
        lab.gateway().sysctl("ipv4/ip_forward", "0")?;
        assert!(!lab.client(1).fetch(lab.server(1).service_v4(80), Duration::from_secs(1))?.succeeded(), "{wiring:?}");
    }
    Ok(())
}

#[test]
fn a_server_without_link_is_unreachable_until_it_is_back() -> Result<()> {
    for wiring in [Wiring::InterfacePerHost, Wiring::SingleInterface] {
        let lab = Lab::builder().wiring(wiring).build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let _nginx = HttpServer::start(server, 80)?;
        for service in both_families(server) {
            assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected, "{wiring:?}");
        }
        server.link_down()?;
        for service in both_families(server) {
            assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Unreachable, "{wiring:?}, {service}");
            assert!(!client.fetch(service, LIMIT)?.succeeded(), "{wiring:?}, {service}");
        }
        server.link_up()?;
        for service in both_families(server) {
            wait_until("the server is back", LIMIT, || {
                client.fetch(service, LIMIT).is_ok_and(|page| page.succeeded())
            })?;
        }
    }
    Ok(())
}

#[test]
fn a_service_can_refuse_and_a_server_can_fall_silent() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (lab.client(1), lab.server(1));
    for service in both_families(server) {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused, "{service}");
    }
    let _nginx = HttpServer::start(server, 80)?;
    server.fall_silent()?;
    for service in both_families(server) {
        assert_eq!(client.connect(None, service, Duration::from_millis(1500))?, Attempt::TimedOut, "{service}");
    }
    server.speak_again()?;
    for service in both_families(server) {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected, "{service}");
    }
    Ok(())
}

#[test]
fn one_client_host_can_be_many_clients() -> Result<()> {
    let lab = Lab::builder().addresses_per_client(100).build()?;
    let server = lab.server(1);
    let _nginx = HttpServer::start(server, 80)?;
    let addresses = lab.client_addresses(1);
    assert_eq!(addresses.len(), 200);
    for from in addresses {
        let to = if from.is_ipv4() { server.service_v4(80) } else { server.service_v6(80) };
        assert_eq!(lab.client(1).connect(Some(from), to, LIMIT)?, Attempt::Connected, "{from}");
    }
    Ok(())
}

#[test]
fn a_frame_socket_sends_what_it_is_given() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway) = (lab.client(1), lab.gateway());
    let packets = || -> Result<u64> {
        let counter =
            gateway.command("ip").args(["-json", "-statistics", "link", "show", "dev", "client1"]).output()?;
        let links: serde_json::Value = serde_json::from_slice(&counter.stdout)?;
        links[0]["stats64"]["rx"]["packets"].as_u64().context("no counter")
    };
    let before = packets()?;
    let mut frame = [0; 60];
    frame[..6].copy_from_slice(&gateway.mac("client1")?);
    frame[6..12].copy_from_slice(&client.mac("eth0")?);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    let socket = client.frame_socket("eth0")?;
    for _ in 0..100 {
        socket.send(&frame)?;
    }
    wait_until("the gateway counts the frames", LIMIT, || packets().is_ok_and(|now| now >= before + 100))
}

#[test]
fn the_mail_sink_keeps_envelope_and_text() -> Result<()> {
    let lab = Lab::new()?;
    let sink = MailSink::start(lab.gateway(), 2525)?;
    let url = sink.url();
    let server = url.strip_prefix("smtp://").context("an SMTP URL")?;
    let mut source = lab.gateway().command("smtp-source");
    source.args(["-c", "-m", "3", "-f", "a@example.test", "-t", "b@example.test", "-S", "It is back", server]);
    assert!(source.output()?.status.success());
    wait_until("three mails are there", LIMIT, || sink.mails().is_ok_and(|mails| mails.len() == 3))?;
    for mail in sink.mails()? {
        assert_eq!(mail.header("X-Rcpt-Args").as_deref(), Some("<b@example.test>"));
        assert_eq!(mail.header("Subject").as_deref(), Some("It is back"));
    }
    Ok(())
}

#[test]
fn a_panicking_test_leaves_nothing() -> Result<()> {
    let mut name = String::new();
    let mut folder = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| -> Result<()> {
        let lab = Lab::builder().clients(2).wiring(Wiring::SingleInterface).build()?;
        name = format!("{}-", lab.name());
        folder = Some(lab.folder().to_owned());
        let _nginx = HttpServer::start(lab.server(1), 80)?;
        assert_eq!(namespaces_of(&name).len(), 5, "two clients, gateway, server, switch");
        panic!("the test fails here");
    }));
    assert!(panicked.is_err());
    assert_eq!(namespaces_of(&name), Vec::<String>::new());
    assert!(!folder.context("the lab was built")?.exists());
    Ok(())
}

#[test]
fn a_killed_test_leaves_nothing() -> Result<()> {
    let mut dying = Command::new(env::current_exe()?)
        .args(["--exact", "helper_that_dies_with_a_lab", "--include-ignored"])
        .env("LAB_DIE", "1")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let (name, folder) = (format!("rb{}-", dying.id()), env::temp_dir().join(format!("rb{}-0", dying.id())));
    wait_until("the helper has a lab and a server in it", Duration::from_secs(20), || folder.join("built").exists())?;
    assert_eq!(namespaces_of(&name).len(), 3);
    dying.kill()?;
    dying.wait()?;
    wait_until("the reaper has swept", Duration::from_secs(20), || {
        namespaces_of(&name).is_empty() && !folder.exists()
    })?;
    Ok(())
}

#[test]
#[ignore = "not a test: `a_killed_test_leaves_nothing` starts it and kills it"]
fn helper_that_dies_with_a_lab() -> Result<()> {
    if env::var_os("LAB_DIE").is_none() {
        return Ok(());
    }
    let lab = Lab::new()?;
    let _nginx = HttpServer::start(lab.server(1), 80)?;
    fs::write(lab.folder().join("built"), "")?;
    wait_until("this process is killed", Duration::from_secs(60), || false)
}

#[test]
fn leftovers_of_dead_processes_are_swept() -> Result<()> {
    // Above the kernel's highest process number: nobody's.
    let name = format!("rb{}-0-client1", 1 << 23);
    assert!(Command::new("ip").args(["netns", "add", &name]).status()?.success());
    let mut other = Command::new(env::current_exe()?);
    other.args(["--exact", "clients_reach_the_server_through_the_gateway"]).stdout(std::process::Stdio::null());
    assert!(other.status()?.success());
    assert!(!Path::new("/run/netns").join(&name).exists());
    Ok(())
}
