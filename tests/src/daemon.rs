//! The program under test: `ringback run` on a host of the lab.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{Attempt, DaemonConfig, Host, Maildir, Process, WallClock, wait_until};

/// Loading and attaching the programs takes a fraction of this, also on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// `ringback run` or `ringback relay`, with state, control socket and pins of its own; killed on drop, its pins removed.
#[derive(Debug)]
pub struct Daemon<'lab> {
    host: &'lab Host,
    verb: &'static str,
    folder: PathBuf,
    pins: PathBuf,
    /// What starts the program: nothing, or a command in front of it.
    through: Vec<String>,
    process: Option<Process>,
}

impl<'lab> Daemon<'lab> {
    /// Starts it on a host (the gateway, or a server itself) and all its interfaces, and waits until `status` answers.
    /// What the configuration leaves open is set so that labs do not meet: state folder, socket, pins.
    pub fn start(host: &'lab Host, config: DaemonConfig) -> Result<Self> {
        Self::start_verb(host, "run", config, Vec::new())
    }

    /// The same with just these capabilities, as a systemd unit would start it (`CAP_BPF CAP_NET_ADMIN`).
    pub fn start_with(host: &'lab Host, capabilities: &str, config: DaemonConfig) -> Result<Self> {
        let granted = capabilities.split_whitespace().map(|name| name.trim_start_matches("CAP_").to_lowercase());
        let bounding = granted.map(|name| format!(",+{name}")).collect::<String>();
        let through = ["setpriv", "--inh-caps", "-all", "--bounding-set", &format!("-all{bounding}"), "--"];
        Self::start_verb(host, "run", config, through.map(str::to_owned).to_vec())
    }

    /// The same by a wall clock of the test's.
    pub fn start_by(host: &'lab Host, clock: &WallClock, config: DaemonConfig) -> Result<Self> {
        Self::start_verb(host, "run", config, clock.command())
    }

    /// The same with no more open files than these.
    pub fn start_with_files(host: &'lab Host, files: u32, config: DaemonConfig) -> Result<Self> {
        let through = ["prlimit", &format!("--nofile={files}:{files}"), "--"];
        Self::start_verb(host, "run", config, through.map(str::to_owned).to_vec())
    }

    /// The same with `ringback relay`, which watches nothing.
    pub fn start_relay(host: &'lab Host, config: DaemonConfig) -> Result<Self> {
        Self::start_verb(host, "relay", config, Vec::new())
    }

    fn start_verb(host: &'lab Host, verb: &'static str, config: DaemonConfig, through: Vec<String>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ringback{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = host.folder().join(&name);
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // The namespace's name begins as the lab's, so that the reaper knows the pins.
        let pins = Path::new("/sys/fs/bpf").join(format!("{}-{name}", host.namespace()));
        let mut daemon = Self { host, verb, folder, pins, through, process: None };
        daemon.write_config(config)?;
        daemon.launch()?;
        Ok(daemon)
    }

    /// Replaces the configuration file; [`Daemon::sighup`] or a restart makes it count.
    pub fn write_config(&self, config: DaemonConfig) -> Result<()> {
        let quoted = |path: PathBuf| format!("'{}'", path.display());
        let interfaces: Vec<_> = self.host.interfaces().iter().map(|name| format!("'{name}'")).collect();
        let text = config
            .or("watch.interfaces", &format!("[{}]", interfaces.join(", ")))
            .or("watch.pin_dir", &quoted(self.pins.clone()))
            .or("store.state_dir", &quoted(self.state_dir()))
            .or("control.socket", &quoted(self.socket()))
            // A lab has no name server.
            .or("notify.reverse_dns", "false")
            .render();
        fs::write(self.config_file(), text).context("cannot write the daemon's configuration")
    }

    /// Starts it again after [`Daemon::kill9`] or [`Daemon::sigterm`], and waits until it answers.
    pub fn launch(&mut self) -> Result<()> {
        let program = program()?;
        let mut run = match self.through.split_first() {
            None => self.host.command(program),
            Some((command, arguments)) => {
                let mut run = self.host.command(command);
                run.args(arguments).arg(program);
                run
            }
        };
        run.arg(self.verb).arg("--config").arg(self.config_file());
        run.env("RUST_LOG", env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()));
        let mut process = Process::start("ringback run", &mut run, &self.folder.join("log"))?;
        let ready =
            wait_until("ringback answers `status`", READY_WITHIN, || !process.is_running() || self.status().is_ok());
        if ready.is_err() || !process.is_running() {
            bail!("ringback did not come up; it printed:\n{}", process.output());
        }
        self.process = Some(process);
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> Result<u32> {
        self.process.as_ref().map(Process::id).context("the daemon does not run")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }

    /// A command of the program on the same host: `ringback VERB … --config FILE`.
    pub fn ringback(&self, args: &[&str]) -> Result<Output> {
        let mut command: Command = self.host.command(program()?);
        command.args(args).arg("--config").arg(self.config_file());
        command.output().context("cannot start ringback")
    }

    /// The same with another configuration file; ended when it has not ended by itself after half a minute.
    pub fn ringback_with(&self, config: &Path, args: &[&str]) -> Result<Output> {
        let mut command: Command = self.host.command("timeout");
        command.arg("30").arg(program()?).args(args).arg("--config").arg(config);
        command.output().context("cannot start ringback")
    }

    /// The same with `--json`, parsed; whatever the exit status.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self.ringback(&[args, &["--json"]].concat())?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("`ringback {}` printed no JSON: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim())
        })
    }

    /// `ringback status --json`.
    pub fn status(&self) -> Result<Value> {
        self.json(&["status"])
    }

    /// Waits until `ringback VERB --json` satisfies the condition, and returns it.
    pub fn wait_for(&self, args: &[&str], limit: Duration, mut condition: impl FnMut(&Value) -> bool) -> Result<Value> {
        let mut latest = Err(anyhow::anyhow!("never asked"));
        let what = format!("`ringback {} --json` says what the test expects", args.join(" "));
        let met = wait_until(&what, limit, || {
            latest = self.json(args);
            latest.as_ref().is_ok_and(&mut condition)
        });
        match (met, latest) {
            (Ok(()), latest) => latest,
            (Err(error), Ok(latest)) => Err(error.context(format!("at last: {latest:#}"))),
            (Err(error), Err(latest)) => Err(error.context(format!("at last: {latest:#}"))),
        }
    }

    /// Ends it without a chance to clean up.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().context("ringback is not running")?.kill()
    }

    /// Asks it to end, and waits until it has.
    pub fn sigterm(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("ringback is not running")?;
        process.signal(Signal::SIGTERM)?;
        process.wait_for_end(Duration::from_secs(20))
    }

    /// Asks it to read its configuration again.
    pub fn sighup(&self) -> Result<()> {
        self.process.as_ref().context("ringback is not running")?.signal(Signal::SIGHUP)
    }

    /// The Maildir that mails go to without `notify.smtp`.
    #[must_use]
    pub fn maildir(&self) -> Maildir {
        Maildir::below(&self.state_dir())
    }

    /// The folder of its database.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("ringback.toml")
    }

    /// Where its maps and links are pinned.
    #[must_use]
    pub fn pin_dir(&self) -> &Path {
        &self.pins
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // The process first: it may be about to pin.
        self.process = None;
        if self.pins.exists()
            && let Err(error) = fs::remove_dir_all(&self.pins)
        {
            eprintln!("lab: cannot remove {}: {error}", self.pins.display());
        }
    }
}

/// The client reaches the service, so that it may fail from now on; waits until the daemon knows it.
pub fn learn(daemon: &Daemon<'_>, client: &Host, service: SocketAddr) -> Result<()> {
    let attempt = client.connect(None, service, READY_WITHIN)?;
    ensure!(attempt == Attempt::Connected, "{service} is not reached: {attempt:?}");
    let service = service.to_string();
    daemon.wait_for(&["services"], READY_WITHIN, |services| services.to_string().contains(&service)).map(drop)
}

/// What `ringback status --json` says of one counter of the kernel's.
#[must_use]
pub fn counter(status: &Value, reason: &str) -> u64 {
    let counters = status["counters"].as_array().into_iter().flatten();
    counters.filter(|counter| counter["reason"] == reason).find_map(|counter| counter["count"].as_u64()).unwrap_or(0)
}

/// `RINGBACK_BIN`, else the program beside the test in cargo's target folder.
pub fn program() -> Result<PathBuf> {
    if let Some(binary) = env::var_os("RINGBACK_BIN") {
        return Ok(binary.into());
    }
    let this = env::current_exe().context("cannot tell where this program is")?;
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join("ringback")).find(|file| file.is_file());
    found.context(
        "the program `ringback` is not built: run `cargo build --package monitor-userspace`, or set RINGBACK_BIN",
    )
}
