//! Connections to the page, to their end (F-25).

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lab::{
    Host, HttpServer, Lab, curl,
    standin::{config, failed, url},
    wait_until,
};
use socket2::{Domain, Socket, Type};

use super::LIMIT;

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

// proves: F-25a F-28
#[test]
fn a_connection_ends_in_order_after_the_recovery_and_the_next_one_reaches_the_server() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let daemon = failed(&lab, client, service, config())?;
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

// proves: F-25a
#[test]
fn a_client_that_uses_its_port_again_is_served_again() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let _daemon = failed(&lab, client, service, config())?;
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
