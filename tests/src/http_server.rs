//! A real web server: nginx.

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::{Attempt, Certificate, Host, Process, wait_until};

/// nginx on a host's IPv4 and IPv6 address; stopped on drop, and then connections are refused.
#[derive(Debug)]
pub struct HttpServer {
    nginx: Process,
}

impl HttpServer {
    /// Serves a page with the host's name on `port`, and waits until it does.
    pub fn start(host: &Host, port: u16) -> Result<Self> {
        Self::start_with(host, port, "", "")
    }

    /// The same over TLS.
    pub fn start_tls(host: &Host, port: u16, certificate: &Certificate) -> Result<Self> {
        let (file, key) = (certificate.certificate.display(), certificate.key.display());
        Self::start_with(host, port, " ssl", &format!("ssl_certificate {file};\nssl_certificate_key {key};\n"))
    }

    fn start_with(host: &Host, port: u16, kind: &str, settings: &str) -> Result<Self> {
        let folder = host.folder().join(format!("nginx-{port}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let at = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .collect();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\n\
             access_log off;\n{temporary}server {{\nlisten {}{kind};\nlisten {}{kind} ipv6only=on;\n\
             {settings}location / {{ return 200 \"this is {}\\n\"; }}\n}}\n}}\n",
            host.service_v4(port),
            host.service_v6(port),
            host.name(),
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, config).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = host.command("nginx");
        command.arg("-e").arg(folder.join("start.log")).arg("-c").arg(&file).arg("-p").arg(&folder);
        let mut nginx = host.spawn(&format!("nginx-{port}"), &mut command)?;
        let accepts =
            |service: SocketAddr| matches!(host.connect(None, service, Duration::from_secs(1)), Ok(Attempt::Connected));
        wait_until(&format!("nginx serves on {} port {port}", host.name()), Duration::from_secs(10), || {
            !nginx.is_running() || (accepts(host.service_v4(port)) && accepts(host.service_v6(port)))
        })?;
        anyhow::ensure!(nginx.is_running(), "nginx ended at once: {}", nginx.output());
        Ok(Self { nginx })
    }

    /// It hangs from now on: connections are accepted by the kernel, and nothing is answered.
    pub fn hang(&self) -> Result<()> {
        self.nginx.signal(Signal::SIGSTOP)
    }

    /// Undoes [`HttpServer::hang`].
    pub fn go_on(&self) -> Result<()> {
        self.nginx.signal(Signal::SIGCONT)
    }
}
