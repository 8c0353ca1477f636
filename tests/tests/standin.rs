//! The page that answers in a failed server's name (F-21 to F-29).

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use aya::programs::{SchedClassifier, TcAttachType};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, Seen, curl, wait_until};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

const LIMIT: Duration = Duration::from_secs(15);
const MAIL: &str = "sato@example.test";

fn config() -> DaemonConfig {
    DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .set("standin.enabled", "true")
        .text("recovery.probe", "200ms")
        .text("recovery.probe_max", "300ms")
        .text("recovery.probe_timeout", "500ms")
}

fn url(service: SocketAddr, path: &str) -> String {
    format!("http://{service}{path}")
}

fn learn(daemon: &Daemon<'_>, client: &Host, service: SocketAddr) -> Result<()> {
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    Ok(())
}

/// The service is refused once, so that its outage opens, and the page is there.
fn fail(client: &Host, service: SocketAddr) -> Result<()> {
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    wait_until("the page is shown", LIMIT, || curl(client, &[&url(service, "/")]).is_ok_and(|seen| seen.status == 503))
}

/// The value of a hidden field or attribute of the form.
fn field<'a>(page: &'a str, name: &str) -> Result<&'a str> {
    let begin = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&begin).with_context(|| format!("no field {name} in\n{page}"))?;
    rest.split_once('"').map(|(value, _)| value).context("the field does not end")
}

/// Opens the page, fills in the form as it is and sends it where it says.
fn answer(client: &Host, service: SocketAddr, answer: &str, mail: &str) -> Result<Seen> {
    let page = curl(client, &[&url(service, "/shop?item=7")])?;
    let token = format!("token={}", field(&page.body, "token")?);
    let host = format!("host={}", field(&page.body, "host")?);
    let path = format!("path={}", field(&page.body, "path")?);
    let (_, action) = page.body.split_once("action=\"").context("no form")?;
    let (action, _) = action.split_once('"').context("no form")?;
    let to = if action.starts_with('/') { url(service, action) } else { action.to_owned() };
    let (answer, mail) = (format!("answer={answer}"), format!("mail={mail}"));
    let mut args = Vec::new();
    for field in [&token, &host, &path, &answer, &mail] {
        args.extend(["--data-urlencode", field.as_str()]);
    }
    args.push(&to);
    curl(client, &args)
}

fn mails(daemon: &Daemon<'_>) -> Result<Vec<Option<String>>> {
    Ok(daemon.maildir().mails()?.iter().map(lab::Mail::to).collect())
}

fn closed(daemon: &Daemon<'_>) -> Result<Value> {
    daemon.wait_for(&["status"], LIMIT, |status| status["outages"] == Value::Array(Vec::new()))
}

/// Whether the page's program is on the gateway's interfaces: all of them, or none.
fn is_steering(gateway: &Host) -> Result<bool> {
    let on = gateway.enter(|| {
        let on = |interface: &String| {
            let (_, programs) = SchedClassifier::query_tcx(interface, TcAttachType::Ingress)?;
            Ok(programs.iter().any(|program| program.name_as_str() == Some("rb_standin")))
        };
        gateway.interfaces().iter().map(on).collect::<Result<Vec<_>>>()
    })??;
    assert!(on.iter().all(|one| *one == on[0]), "{on:?}");
    Ok(on[0])
}

// proves: F-21 F-25
#[test]
fn no_frame_passes_the_pages_program_while_nothing_is_failed() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server, gateway) = (lab.client(1), lab.server(1), lab.gateway());
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(gateway, config())?;
    learn(&daemon, client, service)?;
    assert!(!is_steering(gateway)?);
    drop(nginx);
    fail(client, service)?;
    assert!(is_steering(gateway)?);
    let _nginx = HttpServer::start(server, 80)?;
    closed(&daemon)?;
    assert!(is_steering(gateway)?, "connections to the page may be open");
    Ok(())
}

// proves: F-21 F-22 F-24 F-28
#[test]
fn the_page_is_seen_at_the_servers_own_address_and_the_mail_comes_at_the_recovery() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let nginx = HttpServer::start(server, 80)?;
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let daemon = Daemon::start(lab.gateway(), config().text("watch.remember", "known"))?;
        learn(&daemon, client, service)?;
        drop(nginx);
        fail(client, service)?;
        let page = curl(client, &[&url(service, "/shop?item=7")])?;
        assert_eq!(page.status, 503, "{page:?}");
        assert!(page.body.contains(&format!("{} cannot be reached", service.ip())), "{}", page.body);
        for header in ["retry-after: 30", "cache-control: no-store", "connection: close", "content-security-policy: "] {
            assert!(page.head.contains(header), "{header}: {}", page.head);
        }
        let done = answer(client, service, "yes", MAIL)?;
        assert_eq!(done.status, 200, "{done:?}");
        for part in ["You will get a mail", MAIL, &service.ip().to_string(), "data-back=\"/shop?item=7\""] {
            assert!(done.body.contains(part), "{part} is not in\n{}", done.body);
        }
        let waiting = daemon.json(&["waiting"])?;
        assert!(waiting.to_string().contains(&service.to_string()), "{waiting:#}");
        let book = daemon.json(&["address", "list"])?;
        assert!(book.to_string().contains(MAIL) && book.to_string().contains("\"page\""), "{book:#}");
        assert_eq!(mails(&daemon)?, []);
        let _nginx = HttpServer::start(server, 80)?;
        closed(&daemon)?;
        wait_until("the mail is written", LIMIT, || mails(&daemon).is_ok_and(|mails| !mails.is_empty()))?;
        assert_eq!(mails(&daemon)?, [Some(MAIL.to_owned())]);
        let page = curl(client, &[&url(service, "/")])?;
        assert!(page.status == 200 && page.body.contains("this is server1"), "{page:?}");
    }
    Ok(())
}

// proves: F-23 F-27
#[test]
fn no_is_kept_and_a_later_yes_counts() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let (declines, reconsiders, silent, server) = (lab.client(1), lab.client(2), lab.client(3), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let config = config().text("standin.ask", "everyone");
    let config = config.address(declines.v4(), MAIL).address(silent.v4(), "silent@example.test");
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, declines, service)?;
    drop(nginx);
    fail(declines, service)?;
    let done = answer(declines, service, "no", "")?;
    assert!(done.status == 200 && done.body.contains("You will not get a mail"), "{done:?}");
    assert_eq!(answer(reconsiders, service, "no", "")?.status, 200);
    assert_eq!(answer(reconsiders, service, "yes", "late@example.test")?.status, 200);
    assert_eq!(curl(silent, &[&url(service, "/")])?.status, 503);
    // A further attempt of who said no puts it on the list again, and is still no wish to be told.
    assert_eq!(curl(declines, &[&url(service, "/")])?.status, 503);
    daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(|waiting| waiting.len() == 3))?;
    let _nginx = HttpServer::start(server, 80)?;
    closed(&daemon)?;
    wait_until("the mails are written", LIMIT, || mails(&daemon).is_ok_and(|mails| mails.len() >= 2))?;
    let mut told: Vec<_> = mails(&daemon)?.into_iter().flatten().collect();
    told.sort();
    assert_eq!(told, ["late@example.test", "silent@example.test"]);
    Ok(())
}

/// TCP sockets of the gateway that have to do with `port`, but listeners.
fn sockets(gateway: &Host, port: u16) -> Result<String> {
    let mut lines = String::new();
    for table in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        let text = gateway.enter(|| std::fs::read_to_string(table))??;
        let port = format!(":{port:04X} ");
        for line in
            text.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(port.trim())))
        {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    Ok(lines)
}

// proves: F-25 F-28
#[test]
fn a_connection_ends_in_order_after_the_recovery_and_the_next_one_reaches_the_server() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let nginx = HttpServer::start(server, 80)?;
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let daemon = Daemon::start(lab.gateway(), config())?;
        learn(&daemon, client, service)?;
        drop(nginx);
        fail(client, service)?;
        let outages = daemon.json(&["outages"])?;
        let wait = url(service, &format!("/.ringback/wait?outage={}", outages[0]["outage"]));
        let mut early = client.enter(|| TcpStream::connect_timeout(&service, LIMIT))??;
        let (stream, _nginx) = thread::scope(|scope| {
            let stream = scope.spawn(|| curl(client, &["--no-buffer", &wait]));
            wait_until("the stream is open", LIMIT, || {
                sockets(lab.gateway(), 80).is_ok_and(|all| all.lines().count() >= 2)
            })?;
            let nginx = HttpServer::start(server, 80)?;
            let stream = stream.join().map_err(|_| anyhow::anyhow!("the stream's thread"))??;
            Ok::<_, anyhow::Error>((stream, nginx))
        })?;
        assert!(stream.status == 200 && stream.body.contains("event: back"), "{stream:?}");
        // The first new SYN, then the old connection, which still speaks with the page.
        let page = curl(client, &[&url(service, "/")])?;
        assert!(page.status == 200 && page.body.contains("this is server1"), "{page:?}");
        early.set_read_timeout(Some(LIMIT))?;
        early.write_all(b"GET /shop HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut told = String::new();
        early.read_to_string(&mut told)?;
        assert!(told.starts_with("HTTP/1.1 307") && told.contains("location: /shop"), "{told}");
        drop(early);
        // TIME_WAIT (06) is the protocol's own memory of what has ended.
        wait_until("nothing is left half open", LIMIT, || {
            sockets(lab.gateway(), 80)
                .is_ok_and(|all| all.lines().all(|line| line.split_whitespace().nth(3) == Some("06")))
        })?;
    }
    Ok(())
}

// proves: F-25
#[test]
fn a_client_that_uses_its_port_again_is_served_again() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let nginx = HttpServer::start(server, 80)?;
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let daemon = Daemon::start(lab.gateway(), config())?;
        learn(&daemon, client, service)?;
        drop(nginx);
        fail(client, service)?;
        for visit in 1..=3 {
            let begin = Instant::now();
            let page = client.enter(|| {
                let socket = Socket::new(Domain::for_address(service), Type::STREAM, None)?;
                socket.set_reuse_address(true)?;
                socket.bind(&SocketAddr::new(if v6 { client.v6() } else { client.v4() }, 40_001).into())?;
                socket.connect_timeout(&service.into(), LIMIT)?;
                let mut stream = TcpStream::from(socket);
                stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
                let mut page = String::new();
                // To the end: the page's side closes first, and remembers the connection.
                stream.read_to_string(&mut page)?;
                Ok::<_, anyhow::Error>(page)
            })??;
            assert!(page.starts_with("HTTP/1.1 503"), "visit {visit}: {page}");
            // At the worst after one repetition of the SYN.
            assert!(begin.elapsed() < Duration::from_secs(3), "visit {visit}: {:?}", begin.elapsed());
        }
    }
    Ok(())
}

fn routing(gateway: &Host) -> Result<String> {
    let mut text = String::new();
    for args in [["-4", "rule"], ["-6", "rule"], ["-4", "route"], ["-6", "route"]] {
        let mut ip = gateway.command("ip");
        ip.args(args).arg("show");
        if args[1] == "route" {
            ip.args(["table", "7262"]);
        }
        text.push_str(&String::from_utf8_lossy(&ip.output()?.stdout));
    }
    Ok(text)
}

// proves: F-21
#[test]
fn the_routing_goes_on_every_way_out_and_what_arrives_then_passes() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let before = routing(lab.gateway())?;
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let mut daemon = Daemon::start(lab.gateway(), config())?;
    let during = routing(lab.gateway())?;
    assert_eq!(during.matches("0x72620001").count(), 2, "{during}");
    assert_eq!(during.matches("local").count() - before.matches("local").count(), 2, "{during}");
    assert!(daemon.sigterm()?.success());
    assert_eq!(routing(lab.gateway())?, before);
    daemon.launch()?;
    learn(&daemon, client, service)?;
    drop(nginx);
    fail(client, service)?;
    daemon.kill9()?;
    assert_ne!(routing(lab.gateway())?, before);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    let output = daemon.ringback(&["cleanup"])?;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(routing(lab.gateway())?, before);
    // What an earlier daemon left is replaced, not doubled.
    daemon.launch()?;
    daemon.kill9()?;
    daemon.launch()?;
    assert_eq!(routing(lab.gateway())?, during);
    Ok(())
}

// proves: F-27
#[test]
fn a_client_on_record_is_not_asked_until_its_registration_is_too_old() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let (known, unknown, typed, server) = (lab.client(1), lab.client(2), lab.client(3), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let config = |age: &str| config().address(known.v4(), MAIL).text("standin.ask_again", age);
    let mut daemon = Daemon::start(lab.gateway(), config("30days"))?;
    learn(&daemon, known, service)?;
    drop(nginx);
    fail(unknown, service)?;
    // Its SYN passes, to be refused by the server's own host.
    assert_eq!(known.connect(None, service, LIMIT)?, Attempt::Refused);
    assert_eq!(answer(typed, service, "yes", "typed@example.test")?.status, 200);
    // Who has just answered still sees the page: it waits, and moves on.
    assert_eq!(curl(typed, &[&url(service, "/")])?.status, 503);
    let nginx = HttpServer::start(server, 80)?;
    closed(&daemon)?;
    drop(nginx);
    fail(unknown, service)?;
    wait_until("the page is no longer for who has answered", LIMIT, || {
        typed.connect(None, service, LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })?;
    daemon.write_config(config("1s"))?;
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    wait_until("it is asked again", LIMIT, || curl(typed, &[&url(service, "/")]).is_ok_and(|seen| seen.status == 503))?;
    assert_eq!(known.connect(None, service, LIMIT)?, Attempt::Refused);
    Ok(())
}

// proves: F-21
#[test]
fn a_reload_brings_the_page_to_further_interfaces_and_takes_it_from_others() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (one, two, server) = (lab.client(1), lab.client(2), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let on = |interfaces: &str| config().set("watch.interfaces", interfaces);
    let daemon = Daemon::start(lab.gateway(), on("['client1', 'server1']"))?;
    learn(&daemon, one, service)?;
    drop(nginx);
    fail(one, service)?;
    assert_eq!(two.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.write_config(on("['client2', 'server1']"))?;
    daemon.sighup()?;
    let sees = |client: &Host| curl(client, &[&url(service, "/")]).is_ok_and(|seen| seen.status == 503);
    wait_until("the page is on the new interface", LIMIT, || sees(two))?;
    wait_until("it is no longer on the other", LIMIT, || {
        one.connect(None, service, LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })
}

/// A frame with a word of the operator's in it.
fn frame(built_in: &str, word: &str) -> String {
    built_in.replace("<main>", &format!("<main><p>{word}</p>"))
}

// proves: F-21
#[test]
fn the_operators_frame_and_rules_count_after_a_reload() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let built_in = include_str!("../../monitor-userspace/src/page/templates/page.html");
    let file = lab.folder().join("page.html");
    std::fs::write(&file, frame(built_in, "Our help desk: 4711"))?;
    let config = |ask: &str| {
        config()
            .text("standin.page_dir", &lab.folder().display().to_string())
            .text("standin.ask", ask)
            .address(client.v4(), MAIL)
    };
    let daemon = Daemon::start(lab.gateway(), config("everyone"))?;
    learn(&daemon, client, service)?;
    drop(nginx);
    fail(client, service)?;
    let shows = |word: &str| curl(client, &[&url(service, "/")]).is_ok_and(|seen| seen.body.contains(word));
    assert!(shows("<p>Our help desk: 4711</p>"));
    std::fs::write(&file, frame(built_in, "Our help desk: 4712"))?;
    daemon.sighup()?;
    wait_until("the new frame is shown", LIMIT, || shows("<p>Our help desk: 4712</p>"))?;
    // Whoever is on record is not asked any more.
    daemon.write_config(config("unknown"))?;
    daemon.sighup()?;
    wait_until("the new rule counts", LIMIT, || {
        client.connect(None, service, LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })
}

// proves: F-28
#[test]
fn programs_browsers_and_languages_each_get_what_they_understand() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config())?;
    learn(&daemon, client, service)?;
    drop(nginx);
    fail(client, service)?;
    let at = url(service, "/api/items");
    for args in [&["--header", "Accept: application/json"][..], &["--request", "POST", "--data", "x=1"]] {
        let seen = curl(client, &[args, &[&at]].concat())?;
        assert!(seen.status == 503 && seen.head.contains("retry-after: 30"), "{seen:?}");
        let json: Value = serde_json::from_str(&seen.body)?;
        assert_eq!(
            (&json["error"], &json["server"], &json["port"]),
            (&"server_down".into(), &"10.2.1.2".into(), &80.into())
        );
    }
    let head = curl(client, &["--head", &at])?;
    assert!(head.status == 503 && head.body.is_empty() && head.head.contains("retry-after"), "{head:?}");
    let japanese = curl(client, &["--header", "Accept-Language: ja-JP,ja;q=0.9,en;q=0.8", &at])?;
    assert!(
        japanese.body.contains("<html lang=\"ja\">") && japanese.body.contains("10.2.1.2 に接続できません"),
        "{japanese:?}"
    );
    let english = curl(client, &[&at])?;
    for part in ["<html lang=\"en\">", "prefers-color-scheme: dark", "<label for=\"mail\">", "name=\"viewport\""] {
        assert!(english.body.contains(part), "{part}: {}", english.body);
    }
    assert!(!english.body.contains("src=") && !english.body.contains("<link"), "nothing besides the document");
    Ok(())
}

// proves: F-22
#[test]
fn the_gateways_own_address_takes_answers_and_a_mails_link_ends_the_mails() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let mut nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let own = format!("http://{}", lab.gateway().service_v4(8480));
    let config = config().text("standin.own_listen", "0.0.0.0:8480").text("standin.own_url", &own);
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, client, service)?;
    for outage in 1..=2 {
        drop(nginx);
        fail(client, service)?;
        if outage == 1 {
            let page = curl(client, &[&url(service, "/")])?;
            assert!(page.body.contains(&format!("action=\"{own}/.ringback/answer\"")), "{}", page.body);
            let done = answer(client, service, "yes", MAIL)?;
            assert!(done.status == 200 && done.body.contains(MAIL), "{done:?}");
            assert!(done.body.contains("data-back=\"http://10.2.1.2/shop?item=7\""), "{}", done.body);
        }
        nginx = HttpServer::start(server, 80)?;
        closed(&daemon)?;
        // The second time nobody is told.
        wait_until("the mail is written", LIMIT, || mails(&daemon).is_ok_and(|mails| mails.len() == 1))?;
        if outage == 1 {
            let mail = daemon.maildir().mails()?.remove(0);
            let header = mail.header("List-Unsubscribe").context("no List-Unsubscribe")?.replace(' ', "");
            let link = header.strip_prefix('<').and_then(|rest| rest.split_once('>')).context("no link")?.0;
            assert!(link.starts_with(&own), "{header}");
            // A scanner that follows the link ends nothing; nor does a link that was tampered with.
            assert_eq!(curl(client, &[link])?.status, 200);
            assert!(daemon.json(&["address", "list"])?.to_string().contains(MAIL));
            assert_eq!(curl(client, &["--data", "", &link.replace("sato", "suzuki")])?.status, 404);
            let ended = curl(client, &["--data", "", link])?;
            assert!(ended.status == 200 && ended.body.contains("no more mails"), "{ended:?}");
            assert_eq!(daemon.json(&["address", "list"])?, Value::Array(Vec::new()));
        }
    }
    let outages = daemon.json(&["outages", "--all"])?;
    assert_eq!((&outages[0]["letters"], &outages[1]["letters"]), (&0.into(), &1.into()), "{outages:#}");
    Ok(())
}

/// What a client's connection attempt to a port ends with, and how fast.
fn tried(client: &Host, service: SocketAddr) -> Result<(Attempt, Duration)> {
    let begin = Instant::now();
    Ok((client.connect(None, service, Duration::from_secs(2))?, begin.elapsed()))
}

// proves: F-26 F-29
#[test]
fn other_ports_of_a_failed_server_are_silent_or_refused_at_once_as_configured() -> Result<()> {
    let page_and_rules = [
        (true, "silent", Attempt::TimedOut),
        (true, "reset", Attempt::Refused),
        (false, "reset", Attempt::Refused),
        (true, "icmp", Attempt::Unreachable),
    ];
    for (page, rule, expected) in page_and_rules {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        // A veth takes frames that XDP sends back only with a program of its own.
        let _pass = client.xdp_pass(lab::host::INTERFACE)?;
        let (_web, _other) = (HttpServer::start(server, 80)?, HttpServer::start(server, 8080)?);
        let config = config().set("standin.enabled", if page { "true" } else { "false" });
        let daemon = Daemon::start(lab.gateway(), config.text("standin.other_ports", rule))?;
        for v6 in [false, true] {
            let at = |port| if v6 { server.service_v6(port) } else { server.service_v4(port) };
            learn(&daemon, client, at(8080))?;
            learn(&daemon, client, at(80))?;
            server.fall_silent()?;
            // Neither does it answer the gateway's probes.
            server.ip(&["route add blackhole 10.2.1.1/32", "route add blackhole fd00:2:1::1/128"])?;
            assert_eq!(client.connect(None, at(8080), Duration::from_millis(900))?, Attempt::TimedOut);
            assert_eq!(client.connect(None, at(80), Duration::from_millis(900))?, Attempt::TimedOut);
            let failed = format!("\"{}\"", at(8080));
            daemon.wait_for(&["outages"], LIMIT, |outages| {
                let text = outages.to_string();
                text.contains(&failed) && text.contains(&format!("\"{}\"", at(80)))
            })?;
            let mut attempt = (Attempt::TimedOut, LIMIT);
            let met = wait_until("the attempt ends as configured", LIMIT, || {
                attempt = tried(client, at(8080)).unwrap_or((Attempt::Connected, LIMIT));
                attempt.0 == expected
            });
            met.with_context(|| format!("{rule}, IPv6 {v6}: {attempt:?}"))?;
            // That one may have begun before the mark was set.
            attempt = tried(client, at(8080))?;
            assert_eq!(attempt.0, expected);
            // On a veth the message is there before connect(2) has let go of the socket, and Linux then only notes it (a
            // soft error): the answer to the SYN's first repetition counts.
            let limit = Duration::from_millis(if rule == "icmp" { 1500 } else { 500 });
            assert!(rule == "silent" || attempt.1 < limit, "{attempt:?}");
            if page {
                assert_eq!(curl(client, &[&url(at(80), "/")])?.status, 503, "port 80 is the page's");
            } else {
                assert_eq!(client.connect(None, at(80), LIMIT)?, expected);
            }
            // It is noted all the same; of the same client within a moment it is only counted.
            let before = noted(&daemon.status()?);
            client.connect(None, at(8080), Duration::from_millis(300))?;
            daemon.wait_for(&["status"], LIMIT, |status| noted(status) > before)?;
            server.ip(&["route del blackhole 10.2.1.1/32", "route del blackhole fd00:2:1::1/128"])?;
            server.speak_again()?;
            closed(&daemon)?;
            wait_until("the server is reached again", LIMIT, || {
                client.connect(None, at(8080), LIMIT).is_ok_and(|attempt| attempt == Attempt::Connected)
            })?;
        }
    }
    Ok(())
}

/// Attempts that were remembered, of all services.
fn noted(status: &Value) -> u64 {
    let counters = status["counters"].as_array().into_iter().flatten();
    counters.filter(|line| line["reason"] == "attempts").filter_map(|line| line["count"].as_u64()).sum()
}
