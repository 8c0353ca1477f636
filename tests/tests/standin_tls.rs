//! The stand-in page over TLS: for names that the operator has certificates of, and for nobody else.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use lab::{
    Attempt, Authority, Certificate, Daemon, DaemonConfig, Host, HttpServer, Lab, Seen, curl, learn,
    standin::{self, count},
    wait_until,
};

const LIMIT: Duration = Duration::from_secs(15);
const MAIL: &str = "sato@example.test";
const NAME: &str = "www.example.test";

fn config(certificate: &Certificate, more: &str) -> DaemonConfig {
    let (file, key) = (certificate.certificate.display(), certificate.key.display());
    standin::config().table(&format!("[[standin.tls]]\ncertificate = '{file}'\nkey = '{key}'\n{more}"))
}

/// curl to a name at an address, believing one authority.
fn https(client: &Host, authority: &Authority<'_>, at: SocketAddr, name: &str, args: &[&str]) -> Result<Seen> {
    let ip = match at.ip() {
        IpAddr::V6(v6) => format!("[{v6}]"),
        v4 => v4.to_string(),
    };
    let (resolve, ca) = (format!("{name}:443:{ip}"), authority.file().display().to_string());
    curl(client, &[&["--resolve", &resolve, "--cacert", &ca], args].concat())
}

fn is_down(daemon: &Daemon<'_>, service: SocketAddr) -> Result<()> {
    let down = format!("\"{service}\"");
    daemon.wait_for(&["outages"], LIMIT, |outages| outages.to_string().contains(&down)).map(drop)
}

// proves: F-21 F-22b F-24a F-28
#[test]
fn a_configured_name_gets_the_page_over_tls_and_then_the_real_site() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let authority = Authority::new(lab.gateway(), "authority")?;
        let certificate =
            authority.certify("www", &format!("DNS:{NAME},DNS:*.wild.test,IP:{},IP:{}", server.v4(), server.v6()))?;
        let nginx = HttpServer::start_tls(server, 443, &certificate)?;
        let service = if v6 { server.service_v6(443) } else { server.service_v4(443) };
        let daemon = Daemon::start(lab.gateway(), config(&certificate, ""))?;
        learn(&daemon, client, service)?;
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        is_down(&daemon, service)?;
        let ask = |name: &str, path: &str, args: &[&str]| {
            let url = format!("https://{name}{path}");
            https(client, &authority, service, name, &[args, &[&url]].concat())
        };
        let mut page = None;
        wait_until("the page is shown", LIMIT, || {
            page = ask(NAME, "/shop?item=7", &[]).ok().filter(|seen| seen.status == 503);
            page.is_some()
        })?;
        let page = page.context("no page")?;
        assert!(page.body.contains(&format!("{} cannot be reached", service.ip())), "{page:?}");
        assert_eq!(ask("a.wild.test", "/", &[])?.status, 503, "a wildcard");
        let by_address = format!("https://{}/", service.to_string().trim_end_matches(":443"));
        assert_eq!(
            https(client, &authority, service, NAME, &[&by_address])?.status,
            503,
            "a client that names nothing"
        );
        let field = |name: &str| {
            let (_, rest) = page.body.split_once(&format!("name=\"{name}\" value=\""))?;
            rest.split_once('"').map(|(value, _)| format!("{name}={value}"))
        };
        let mut form = Vec::new();
        for name in ["token", "scheme", "host", "path"] {
            form.extend(["--data-urlencode".to_owned(), field(name).with_context(|| format!("no {name}"))?]);
        }
        assert!(form.contains(&"scheme=https".to_owned()), "{form:?}");
        let mail = format!("mail={MAIL}");
        let mut args: Vec<&str> = form.iter().map(String::as_str).collect();
        args.extend(["--data-urlencode", &mail, "--data", "answer=yes"]);
        let done = ask(NAME, "/.ringback/answer", &args)?;
        assert!(done.status == 200 && done.body.contains("You will get a mail"), "{done:?}");
        assert_eq!((count(&daemon, "registered")?, count(&daemon, "no_certificate")?), (1, 0));
        let _nginx = HttpServer::start_tls(server, 443, &certificate)?;
        wait_until("the mail is written", LIMIT, || daemon.maildir().mails().is_ok_and(|mails| !mails.is_empty()))?;
        let real = ask(NAME, "/", &[])?;
        assert!(real.status == 200 && real.body.contains("this is server1"), "{real:?}");
    }
    Ok(())
}

// proves: F-29
#[test]
fn other_names_and_servers_get_what_other_ports_get() -> Result<()> {
    for (rule, exits) in [("silent", &[28][..]), ("reset", &[35, 56]), ("icmp", &[35, 56])] {
        let lab = Lab::builder().servers(2).build()?;
        let (client, server, other) = (lab.client(1), lab.server(1), lab.server(2));
        // A veth takes frames that XDP sends back only with a program of its own.
        let _pass = client.xdp_pass(lab::host::INTERFACE)?;
        let authority = Authority::new(lab.gateway(), "authority")?;
        let certificate = authority.certify("www", &format!("DNS:{NAME}"))?;
        let _servers = (HttpServer::start(server, 443)?, HttpServer::start(other, 443)?);
        let config = config(&certificate, &format!("servers = ['{}']", server.v4()));
        let daemon = Daemon::start(lab.gateway(), config.text("standin.other_ports", rule))?;
        for host in [server, other] {
            learn(&daemon, client, host.service_v4(443))?;
            host.fall_silent()?;
            host.ip(&[format!("route add blackhole {}/32", gateway_towards(host))])?;
            assert_eq!(client.connect(None, host.service_v4(443), Duration::from_millis(900))?, Attempt::TimedOut);
            is_down(&daemon, host.service_v4(443))?;
        }
        let at = server.service_v4(443);
        let ask = |name: &str| https(client, &authority, at, name, &["--max-time", "2", &format!("https://{name}/")]);
        wait_until("the page is shown", LIMIT, || ask(NAME).is_ok_and(|seen| seen.status == 503))?;
        let unknown = ask("intranet.example.test")?;
        assert!(exits.contains(&unknown.exit) && unknown.status == 0, "{rule}: {unknown:?}");
        assert_eq!(count(&daemon, "no_certificate")?, 1);
        let sockets = lab.gateway().enter(|| fs::read_to_string("/proc/thread-self/net/tcp"))??;
        // TIME_WAIT (06) is the protocol's own memory of what has ended; the first line names the columns.
        let columns = sockets.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        let left: Vec<_> = columns.filter(|columns| columns[1].ends_with(":01BB") && columns[3] != "06").collect();
        assert!(left.is_empty(), "{rule}: {left:?}");
        let expected = match rule {
            "silent" => Attempt::TimedOut,
            "reset" => Attempt::Refused,
            _ => Attempt::Unreachable,
        };
        let mut ended = None;
        wait_until("a server without a certificate ends as configured", LIMIT, || {
            ended = client.connect(None, other.service_v4(443), Duration::from_secs(2)).ok();
            ended == Some(expected)
        })
        .with_context(|| format!("{rule}: {ended:?}"))?;
    }
    Ok(())
}

/// The gateway's address in a server's network.
fn gateway_towards(server: &Host) -> String {
    let v4 = server.v4().to_string();
    format!("{}.1", v4.rsplit_once('.').map_or(v4.as_str(), |(net, _)| net))
}

#[test]
fn check_says_in_one_line_what_is_wrong_with_a_certificate() -> Result<()> {
    let lab = Lab::builder().build()?;
    let authority = Authority::new(lab.gateway(), "authority")?;
    let (one, other) = (authority.certify("one", "DNS:one.test")?, authority.certify("other", "DNS:other.test")?);
    let daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    let (file, junk) = (lab.folder().join("tls.toml"), lab.folder().join("junk.pem"));
    fs::write(&junk, "no PEM at all")?;
    let open = lab.folder().join("open.key");
    fs::copy(&one.key, &open)?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644))?;
    let expired = authority.expired()?;
    let missing = lab.folder().join("missing.pem");
    for (certificate, key, line, words) in [
        (&missing, &one.key, 2, "missing.pem cannot be read: No such file or directory"),
        (&junk, &one.key, 2, "junk.pem holds no certificate: write PEM (-----BEGIN CERTIFICATE-----)"),
        (&expired.certificate, &expired.key, 2, "expired.pem has expired at 2020-01-02 00:00:00 UTC"),
        (&one.certificate, &junk, 3, "junk.pem holds no private key"),
        (&one.certificate, &other.key, 3, "does not go with "),
        (&one.certificate, &open, 3, "open.key can be read by everybody: chmod 640 "),
    ] {
        let text = format!("[[standin.tls]]\ncertificate = '{}'\nkey = '{}'\n", certificate.display(), key.display());
        // The lab's gateway has no default route to choose an interface by: one mistake is to be found.
        fs::write(&file, text + "[watch]\ninterfaces = ['lo']\n")?;
        let output = daemon.ringback_with(&file, &["check"])?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let place = format!("tls.toml:{line}: standin.tls[0].{}: ", if line == 2 { "certificate" } else { "key" });
        let is_right = said.contains(&place) && said.contains(words) && said.lines().count() == 1;
        assert!(is_right && output.status.code() == Some(2), "{words}: {output:?}");
    }
    let text = format!(
        "[watch]\ninterfaces = ['lo']\n[[standin.tls]]\ncertificate = '{}'\nkey = '{}'\n",
        one.certificate.display(),
        one.key.display()
    );
    fs::write(&file, text)?;
    let output = daemon.ringback_with(&file, &["check"])?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

#[test]
fn a_reload_takes_a_renewed_certificate_and_keeps_the_old_one_when_it_is_broken() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let (before, after) = (Authority::new(lab.gateway(), "before")?, Authority::new(lab.gateway(), "after")?);
    let (old, new) = (before.certify("www", &format!("DNS:{NAME}"))?, after.certify("www", &format!("DNS:{NAME}"))?);
    let service = server.service_v4(443);
    let nginx = HttpServer::start(server, 443)?;
    let daemon = Daemon::start(lab.gateway(), config(&old, ""))?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    let url = format!("https://{NAME}/");
    let shown = |authority: &Authority<'_>| {
        https(client, authority, service, NAME, &[&url]).is_ok_and(|seen| seen.status == 503)
    };
    wait_until("the page is shown", LIMIT, || shown(&before))?;
    assert!(!shown(&after));
    fs::write(&old.certificate, "broken")?;
    daemon.sighup()?;
    wait_until("the reload is refused", LIMIT, || daemon.log().contains("the old configuration stays"))?;
    assert!(shown(&before));
    fs::copy(&new.key, &old.key)?;
    fs::copy(&new.certificate, &old.certificate)?;
    daemon.sighup()?;
    wait_until("the renewed certificate is served", LIMIT, || shown(&after))?;
    assert!(!shown(&before));
    Ok(())
}

// proves: F-21 F-29
#[test]
fn a_certificate_whose_time_has_not_come_is_none_until_then() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    // As above: for the frames that XDP sends back.
    let _pass = client.xdp_pass(lab::host::INTERFACE)?;
    let authority = Authority::new(lab.gateway(), "authority")?;
    // Whole seconds, as in certificates.
    let begin = (SystemTime::now() + Duration::from_secs(12)).duration_since(UNIX_EPOCH)?.as_secs();
    let begin = UNIX_EPOCH + Duration::from_secs(begin);
    let early = authority.certify_from("www", &format!("DNS:{NAME}"), begin)?;
    let service = server.service_v4(443);
    let nginx = HttpServer::start(server, 443)?;
    // The start goes on: everything else works.
    let daemon = Daemon::start(lab.gateway(), config(&early, "").text("standin.other_ports", "reset"))?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused, "its port is another port");
    let file = early.certificate.display().to_string();
    wait_until("it is said", LIMIT, || daemon.log().contains(&format!("standin.tls: {file} is not valid before ")))?;
    let status = String::from_utf8_lossy(&daemon.ringback(&["status"])?.stdout).into_owned();
    assert!(status.contains(&format!("PROBLEM:   the certificate {file} is not valid yet")), "{status}");
    let check = daemon.ringback(&["check"])?;
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(check.status.code() == Some(2) && said.contains("www.pem is not valid before "), "{said}");
    assert!(SystemTime::now() < begin, "too slow to see it before its time");

    let url = format!("https://{NAME}/");
    let shown = || https(client, &authority, service, NAME, &[&url]).is_ok_and(|seen| seen.status == 503);
    wait_until("the page is shown without a reload", LIMIT, shown)?;
    assert!(SystemTime::now() >= begin);
    assert_eq!(daemon.status()?["health"], "ok");
    Ok(())
}

// proves: F-21 F-29
#[test]
fn a_certificate_that_expires_is_announced_and_then_none() -> Result<()> {
    const GOOD_FOR: Duration = Duration::from_secs(15);
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    // As above: for the frames that XDP sends back.
    let _pass = client.xdp_pass(lab::host::INTERFACE)?;
    let authority = Authority::new(lab.gateway(), "authority")?;
    let names = format!("DNS:{NAME}");
    // Whole seconds, as in certificates.
    let ends = (SystemTime::now() + GOOD_FOR).duration_since(UNIX_EPOCH)?.as_secs();
    let end = UNIX_EPOCH + Duration::from_secs(ends);
    let short = authority.certify_until("www", &names, end)?;
    let service = server.service_v4(443);
    let nginx = HttpServer::start(server, 443)?;
    let config = config(&short, "").text("standin.other_ports", "reset");
    let mut daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    let url = format!("https://{NAME}/");
    let shown = || https(client, &authority, service, NAME, &[&url]).is_ok_and(|seen| seen.status == 503);
    wait_until("the page is shown", LIMIT, shown)?;
    let text = |daemon: &Daemon<'_>| -> Result<String> {
        Ok(String::from_utf8_lossy(&daemon.ringback(&["status"])?.stdout).into_owned())
    };
    let file = short.certificate.display().to_string();
    let status = text(&daemon)?;
    assert!(status.contains(&format!("PAGE:      {file} expires in")), "{status}");
    assert!(daemon.log().contains(&format!("standin.tls: {file} expires at ")), "{}", daemon.log());
    let report = daemon.status()?;
    assert_eq!(report["certificates"][0]["ends"].as_u64(), Some(ends * 1000), "{report:#}");
    assert_eq!((&report["health"], SystemTime::now() < end), (&"ok".into(), true), "{report:#}");

    wait_until("the certificate counts no more", GOOD_FOR + LIMIT, || !shown())?;
    assert!(SystemTime::now() > end, "a certificate in its time was not served");
    // As on any port that has no page.
    wait_until("its port is another port", LIMIT, || {
        client.connect(None, service, LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })?;
    wait_until("it is said", LIMIT, || daemon.log().contains(&format!("standin.tls: {file} has expired at ")))?;
    // A restart goes on without it: everything else works.
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    let status = text(&daemon)?;
    assert!(status.contains(&format!("PROBLEM:   the certificate {file} has expired")), "{status}");
    let check = daemon.ringback(&["check"])?;
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(check.status.code() == Some(2) && said.contains("www.pem has expired at "), "{said}");

    let renewed = authority.certify("renewed", &names)?;
    fs::copy(&renewed.certificate, &short.certificate)?;
    fs::copy(&renewed.key, &short.key)?;
    daemon.sighup()?;
    wait_until("the renewed certificate is served", LIMIT, shown)?;
    assert_eq!(daemon.status()?["health"], "ok");
    Ok(())
}
