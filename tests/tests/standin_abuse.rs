//! What strangers can do to the stand-in page, and what they cannot.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::{
    Host, HttpServer, Lab, Seen, curl,
    standin::{config, count, failed, field, url},
    wait_until,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

const LIMIT: Duration = Duration::from_secs(20);
const MAIL: &str = "sato@example.test";

// proves: F-24a
#[test]
fn an_answer_is_taken_only_from_who_was_asked_and_not_without_end() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (client, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let service = server.service_v4(80);
    let daemon = failed(&lab, client, service, config().set("standin.answers", "3"))?;
    let page = curl(client, &[&url(service, "/")])?;
    let token = field(&page.body, "token")?;
    let to = url(service, "/.ringback/answer");
    let mail = format!("mail={MAIL}");
    let send = |from: &Host, token: &str| {
        curl(from, &["--data", &format!("token={token}"), "--data", "answer=yes", "--data", &mail, &to])
    };
    assert_eq!(send(other, token)?.status, 403, "another client's token");
    assert_eq!(send(client, "")?.status, 403, "no token");
    assert_eq!(send(client, &token.replacen('1', "2", 1))?.status, 403, "another outage's token");
    let wrong = curl(
        client,
        &["--data", &format!("token={token}"), "--data-urlencode", "mail=<script>\"@", "--data", "answer=yes", &to],
    )?;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.body.contains("That is not a mail address") && wrong.body.contains("&#60;script&#62;&#34;@"),
        "{wrong:?}"
    );
    assert_eq!(send(client, token)?.status, 200);
    assert_eq!(send(client, token)?.status, 200);
    assert_eq!(send(client, token)?.status, 429, "three answers a minute");
    let book = daemon.json(&["address", "list"])?;
    assert_eq!(book.as_array().map(Vec::len), Some(1), "{book:#}");
    let counts = ["forged", "not_an_address", "registered", "too_often"].map(|reason| count(&daemon, reason).ok());
    assert_eq!(counts, [Some(3), Some(1), Some(2), Some(1)]);
    Ok(())
}

/// Nothing tells a stranger whether an address is known, and nobody is mailed twice however often an address is typed.
// proves: F-15a F-24a
#[test]
fn an_address_that_is_known_gets_the_same_answer_and_one_mail() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let (one, two, server) = (lab.client(1), lab.client(2), lab.server(1));
    let service = server.service_v4(80);
    let config =
        |forget: &str| config().text("standin.forget", forget).address(lab.client(3).v4(), "boss@example.test");
    let mut daemon = failed(&lab, one, service, config("30days"))?;
    let type_in = |client: &Host, mail: &str| {
        let page = curl(client, &[&url(service, "/")])?;
        let token = format!("token={}", field(&page.body, "token")?);
        let (mail, to) = (format!("mail={mail}"), url(service, "/.ringback/answer"));
        curl(client, &["--data", &token, "--data", "answer=yes", "--data", &mail, &to])
    };
    // What differs from one time to the next anyway: the date, the random word of the script, and the address itself.
    let plain = |seen: Seen, mail: &str| {
        let body: Vec<_> = seen.body.lines().filter(|line| !line.contains("nonce=")).collect();
        let head: Vec<_> =
            seen.head.lines().filter(|line| !line.starts_with("date:") && !line.contains("nonce-")).collect();
        (seen.status, head.join("\n"), body.join("\n").replace(mail, "MAIL"))
    };
    let unknown = plain(type_in(two, "nobody@example.test")?, "nobody@example.test");
    let known = plain(type_in(two, "boss@example.test")?, "boss@example.test");
    assert_eq!(unknown.0, 200);
    // The length of the address is the only difference.
    let without_length = |(status, head, body): (u16, String, String)| {
        let head: Vec<_> = head.lines().filter(|line| !line.starts_with("content-length")).map(str::to_owned).collect();
        (status, head, body)
    };
    assert_eq!(without_length(unknown), without_length(known));
    assert_eq!(type_in(one, MAIL)?.status, 200);
    assert_eq!(type_in(one, MAIL)?.status, 200);
    assert_eq!(type_in(two, MAIL)?.status, 200);
    let _nginx = HttpServer::start(server, 80)?;
    daemon.wait_for(&["status"], LIMIT, |status| {
        status["outages"] == Value::Array(Vec::new()) && status["outbox"]["delivered"].as_u64() >= Some(1)
    })?;
    assert_eq!(daemon.maildir().mails()?.iter().filter_map(lab::Mail::to).collect::<Vec<_>>(), [MAIL]);
    // What was typed is forgotten after its time; what the operator wrote stays.
    daemon.write_config(config("1ms"))?;
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    daemon.wait_for(&["address", "list"], LIMIT, |book| {
        book.as_array().is_some_and(|book| book.len() == 1 && book[0]["mail"] == "boss@example.test")
    })?;
    Ok(())
}

/// How a request that is sent without an end is ended.
struct Endless {
    what: &'static str,
    begin: &'static str,
    /// Sent again and again.
    more: &'static str,
    pause: Duration,
    /// The answer, where there is one; else the connection is just ended.
    status: &'static [&'static str],
}

const SLOW: Duration = Duration::from_millis(200);

const ENDLESS: [Endless; 6] = [
    Endless {
        what: "a head by single lines",
        begin: "GET / HTTP/1.1\r\n",
        more: "X: y\r\n",
        pause: SLOW,
        status: &["408"],
    },
    Endless { what: "a head by single bytes", begin: "GET /", more: "a", pause: SLOW, status: &["408"] },
    Endless {
        what: "a body by single bytes",
        begin: "POST /.ringback/answer HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n",
        more: "a",
        pause: SLOW,
        status: &["408"],
    },
    Endless {
        what: "a head without an end",
        begin: "GET / HTTP/1.1\r\nX: ",
        more: "0123456789012345678901234567890123456789012345678901234567890123456789",
        pause: Duration::ZERO,
        status: &["431"],
    },
    Endless {
        what: "lines without an end",
        begin: "GET / HTTP/1.1\r\n",
        more: "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n",
        pause: Duration::ZERO,
        status: &["431"],
    },
    Endless {
        what: "a body without an end",
        begin: "POST /.ringback/answer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        more: "40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n",
        pause: Duration::ZERO,
        status: &["413"],
    },
];

impl Endless {
    /// Sends until the other side ends it; the answer, and how long it took.
    fn send(&self, mut stream: TcpStream) -> Result<(String, Duration)> {
        let begin = Instant::now();
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        let mut sent = stream.write_all(self.begin.as_bytes());
        let mut answer = Vec::new();
        while begin.elapsed() < LIMIT * 2 {
            thread::sleep(self.pause);
            if sent.is_ok() {
                sent = stream.write_all(self.more.as_bytes());
            }
            match stream.read_to_end(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Ended by FIN, or by RST as we still wrote.
                _ => return Ok((String::from_utf8_lossy(&answer).into_owned(), begin.elapsed())),
            }
        }
        anyhow::bail!("{} is taken for ever", self.what)
    }
}

// proves: F-21 F-25a
#[test]
fn slow_and_endless_requests_are_ended_and_others_are_served_meanwhile() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (attacker, visitor, server) = (lab.client(1), lab.client(2), lab.server(1));
    let service = server.service_v4(80);
    let daemon = failed(&lab, attacker, service, config())?;
    thread::scope(|scope| {
        let attacks: Vec<_> = ENDLESS
            .iter()
            .map(|endless| {
                let stream = attacker.enter(|| TcpStream::connect_timeout(&service, LIMIT))??;
                Ok((endless, scope.spawn(move || endless.send(stream))))
            })
            .collect::<Result<_>>()?;
        while attacks.iter().any(|(_, attack)| !attack.is_finished()) {
            let begin = Instant::now();
            assert_eq!(curl(visitor, &[&url(service, "/")])?.status, 503);
            assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        }
        for (endless, attack) in attacks {
            let (answer, lasted) = attack.join().map_err(|_| anyhow::anyhow!("{}: panicked", endless.what))??;
            // Who still writes when it is ended may lose the answer to the RST.
            let status = answer.split(' ').nth(1).unwrap_or("");
            assert!(status.is_empty() || endless.status.contains(&status), "{}: {answer}", endless.what);
            let limit = if endless.pause.is_zero() { Duration::from_secs(5) } else { Duration::from_secs(14) };
            assert!(lasted < limit, "{}: {lasted:?}", endless.what);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let large = "x".repeat(20_000);
    assert_eq!(curl(attacker, &["--data", &large, &url(service, "/.ringback/answer")])?.status, 413);
    assert!(count(&daemon, "bad_request")? >= 4);
    Ok(())
}

/// A connection from one of the host's addresses. On a thread of the host.
fn connect(from: IpAddr, to: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect_timeout(&to.into(), LIMIT)?;
    Ok(socket)
}

// proves: F-21
#[test]
fn ten_thousand_idle_connections_keep_nobody_from_the_page() -> Result<()> {
    const IDLE: usize = 10_000;
    // Each of them is an open file of this process, and of the daemon.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(hard > IDLE as u64 + 1000, "{IDLE} open files are not allowed here (ulimit -Hn)");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let lab = Lab::builder().clients(3).addresses_per_client(250).build()?;
    let (visitor, server) = (lab.client(3), lab.server(1));
    let service = server.service_v4(80);
    let daemon = failed(&lab, visitor, service, config())?;
    let begin = Instant::now();
    let mut held = Vec::new();
    for number in [1, 2] {
        let addresses: Vec<_> = lab.client_addresses(number).into_iter().filter(IpAddr::is_ipv4).collect();
        let idle = lab.client(number.into()).enter(|| {
            let each = IDLE / 2 / addresses.len();
            let from = addresses.iter().flat_map(|address| std::iter::repeat_n(*address, each));
            from.map(|address| connect(address, service)).collect::<Result<Vec<_>>>()
        })??;
        held.extend(idle);
    }
    assert_eq!(held.len(), IDLE);
    assert!(begin.elapsed() < Duration::from_secs(10), "too slow to hold them all at once: {:?}", begin.elapsed());
    // All places are taken; a newcomer gets the oldest one.
    for _ in 0..20 {
        let begin = Instant::now();
        assert_eq!(curl(visitor, &[&url(service, "/")])?.status, 503);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    assert!(count(&daemon, "displaced")? >= 1);
    assert_eq!(count(&daemon, "client_limit")?, 0);
    // One client alone gets no more than its share.
    let greedy = visitor.enter(|| (0..40).map(|_| connect(visitor.v4(), service)).collect::<Result<Vec<_>>>())??;
    wait_until("the greedy one is limited", LIMIT, || count(&daemon, "client_limit").is_ok_and(|count| count >= 8))?;
    // Behind its address may be others, who wait for nothing.
    assert_eq!(curl(visitor, &[&url(service, "/")])?.status, 503);
    let end = Instant::now() + LIMIT;
    for socket in held.into_iter().chain(greedy) {
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))))?;
        match stream.read(&mut [0; 512]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => anyhow::bail!("an idle connection is kept"),
            _ => {}
        }
    }
    Ok(())
}
