//! A small application server in Python whose health the test decides.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::{Attempt, Host, Process, wait_until};

/// `/health` answers with the status in the file, after the seconds that may stand behind it; everything else with 200.
/// A connection stays open until its client closes it.
const PROGRAM: &str = r#"
import http.server, socket, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 200
        if self.path == "/health":
            words = open(sys.argv[2]).read().split()
            time.sleep(float(words[1]) if len(words) > 1 else 0)
            *interim, status = map(int, words[0].split("+"))
            for early in interim:
                self.wfile.write(b"HTTP/1.1 %d Early\r\nLink: </a.css>; rel=preload\r\n\r\n" % early)
                self.wfile.flush()
        body = b"this is the application\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 1024

Server(("::", int(sys.argv[1])), Handler).serve_forever()
"#;

/// The server; stopped on drop.
#[derive(Debug)]
pub struct AppServer {
    health: PathBuf,
    process: Process,
}

impl AppServer {
    /// Serves on `port` of all the host's addresses, IPv4 on an IPv6 socket, and waits until it does.
    pub fn start(host: &Host, port: u16) -> Result<Self> {
        let health = host.folder().join(format!("health-{port}"));
        let program = host.folder().join("app.py");
        fs::write(&program, PROGRAM).with_context(|| format!("cannot write {}", program.display()))?;
        let mut command = host.command("python3");
        command.arg(&program).arg(port.to_string()).arg(&health);
        let process = host.spawn(&format!("app-{port}"), &mut command)?;
        let server = Self { health, process };
        server.answers("200")?;
        wait_until("the application serves", Duration::from_secs(20), || {
            host.connect(None, host.service_v4(port), Duration::from_secs(1)).ok() == Some(Attempt::Connected)
        })?;
        Ok(server)
    }

    /// It hangs from now on: connections are accepted by the kernel, and nothing is answered.
    pub fn hang(&self) -> Result<()> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// Undoes [`AppServer::hang`].
    pub fn go_on(&self) -> Result<()> {
        self.process.signal(Signal::SIGCONT)
    }

    /// What `/health` answers from now on: `200`, `503`, `200 0.4` for an answer after 0.4 seconds, or `103+200` for
    /// one that another one precedes.
    pub fn answers(&self, health: &str) -> Result<()> {
        // In one step: the server must never find half a word.
        let new = self.health.with_extension("new");
        fs::write(&new, health).with_context(|| format!("cannot write {}", new.display()))?;
        fs::rename(&new, &self.health).with_context(|| format!("cannot write {}", self.health.display()))
    }
}
