//! A receiver of webhooks in Python, HTTP or HTTPS, which checks signatures by the published scheme with its own code.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Attempt, Host, Process, wait_until};

/// The secret of every webhook of the lab.
pub const SECRET: &str = "whsec_bGFiLWxhYi1sYWItbGFiLWxhYi1sYWItbGFiLWxhYg==";

/// Each POST becomes a line of JSON, before it is answered with the status in the file; 0 hangs up without an answer.
const PROGRAM: &str = r#"
import base64, hashlib, hmac, http.server, json, ssl, sys, time

address, port, folder, secret, certificate, key = sys.argv[1:]

def is_valid(headers, body):
    content = ".".join([headers["webhook-id"], headers["webhook-timestamp"], body.decode()])
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), content.encode(), hashlib.sha256).digest()
    wanted = "v1," + base64.b64encode(digest).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and any(hmac.compare_digest(one, wanted) for one in headers["webhook-signature"].split(" "))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        *interim, status = map(int, open(folder + "/answer").read().split("+"))
        for early in interim:
            self.wfile.write(b"HTTP/1.1 %d Early\r\nLink: </a.css>; rel=preload\r\n\r\n" % early)
        line = { "path": self.path, "id": self.headers["webhook-id"], "type": self.headers["content-type"],
                 "timestamp": int(self.headers["webhook-timestamp"]), "valid": is_valid(self.headers, body),
                 "status": status, "body": json.loads(body) }
        with open(folder + "/posts", "a") as posts:
            posts.write(json.dumps(line) + "\n")
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
server.daemon_threads = True
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// The receiver; stopped on drop. What it was posted stays in its folder for the next.
#[derive(Debug)]
pub struct WebhookServer {
    folder: PathBuf,
    _process: Process,
}

impl WebhookServer {
    /// Serves HTTPS with this certificate and the key `key.pem` beside it, and waits until it does.
    pub fn https(host: &Host, address: SocketAddr, certificate: &Path) -> Result<Self> {
        Self::start(host, address, Some(certificate))
    }

    /// Serves HTTP.
    pub fn http(host: &Host, address: SocketAddr) -> Result<Self> {
        Self::start(host, address, None)
    }

    fn start(host: &Host, address: SocketAddr, certificate: Option<&Path>) -> Result<Self> {
        let folder = host.folder().join("webhook");
        fs::create_dir_all(&folder)?;
        let program = folder.join("webhook.py");
        fs::write(&program, PROGRAM)?;
        if !folder.join("answer").exists() {
            fs::write(folder.join("answer"), "200")?;
        }
        let mut command = host.command("python3");
        command.arg(&program).arg(address.ip().to_string()).arg(address.port().to_string()).arg(&folder).arg(SECRET);
        match certificate {
            Some(certificate) => command.arg(certificate).arg(certificate.with_file_name("key.pem")),
            None => command.args(["", ""]),
        };
        let process = host.spawn("webhook", &mut command)?;
        let server = Self { folder, _process: process };
        wait_until("the webhook is served", Duration::from_secs(20), || {
            host.connect(None, address, Duration::from_secs(1)).ok() == Some(Attempt::Connected)
        })?;
        Ok(server)
    }

    /// The same, with 103 Early Hints before it.
    pub fn answer_after_hints(&self, status: u16) -> Result<()> {
        let new = self.folder.join("answer.new");
        fs::write(&new, format!("103+{status}"))?;
        fs::rename(new, self.folder.join("answer")).context("the answer")
    }

    /// With which status it answers from now on.
    pub fn answer(&self, status: u16) -> Result<()> {
        let new = self.folder.join("answer.new");
        fs::write(&new, status.to_string())?;
        fs::rename(new, self.folder.join("answer")).context("the answer")
    }

    /// What was posted, in order.
    pub fn posts(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.folder.join("posts")).unwrap_or_default();
        // A line without its end is being written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).context("a post")).collect()
    }
}

/// A certificate for the host's IPv4 address that is its own root: `certificate.pem` and `key.pem` in the folder.
pub fn certificate(host: &Host, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file = folder.join("certificate.pem");
    let mut openssl = host.command("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=a host of the lab", "-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-addext").arg(format!("subjectAltName=IP:{}", host.v4()));
    let output = openssl.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(&file).output()?;
    ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(file)
}
