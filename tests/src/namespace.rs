//! A named network namespace, and the promise that it goes away.
//!
//! Names are `rbPID-N-ROLE`: PID is the process that made it, N counts its labs. Three things remove what bears such a
//! name (namespaces, processes in them, folders under the temporary folder and the BPF file system): `Drop`, after a
//! test that passed or panicked; a reaper process that waits for the end of this one, also by a signal; and a sweep at
//! the first lab of a process, for what a crash of the whole machine's session left.
//!
//! Programs enter a namespace by setns(2) alone. `ip netns exec` would also hide `/sys/fs/bpf` from them.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

const NETNS: &str = "/run/netns";
const BPF_FS: &str = "/sys/fs/bpf";

/// Removes everything whose name begins with one of the arguments.
const SWEEP: &str = r#"
for prefix in "$@"; do
    for namespace in /run/netns/"$prefix"*; do
        [ -e "$namespace" ] || continue
        name=${namespace##*/}
        pids=$(ip netns pids "$name") && [ -n "$pids" ] && kill -9 $pids
        ip netns del "$name"
    done
    rm -rf /sys/fs/bpf/"$prefix"* "$LAB_TMP"/"$prefix"*
done
"#;

/// A network namespace; deleted on drop, with the processes that are still in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    pub(crate) fn create(name: String) -> Result<Self> {
        let output = Command::new("ip").args(["netns", "add", &name]).output().context("cannot start `ip`")?;
        if !output.status.success() {
            bail!("cannot make a network namespace (root?): {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let path = Path::new(NETNS).join(&name);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { name, file })
    }

    /// Its name under `/run/netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread that is in the namespace: sockets opened there belong to it for good.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", self.name))?;
                Ok(work())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Lets the command start in the namespace.
    pub(crate) fn take_in<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let fd = self.file.as_raw_fd();
        let enter = move || {
            // SAFETY: setns(2) is a plain system call, safe between fork and exec. `fd` is close-on-exec, hence still
            // open here, as `Host::command` borrows the namespace's owner until the program is started.
            match unsafe { nix::libc::setns(fd, nix::libc::CLONE_NEWNET) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: `enter` neither allocates nor locks.
        unsafe { command.pre_exec(enter) }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The name is whole: `-client1` must not take `-client10` with it.
        let script = r#"pids=$(ip netns pids "$1") && [ -n "$pids" ] && kill -9 $pids; ip netns del "$1""#;
        let status = Command::new("sh").args(["-c", script, "sh", &self.name]).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("lab: could not delete the network namespace {}", self.name);
        }
    }
}

/// The name of this process's next lab, `rbPID-N`. The first call sweeps what dead processes left and starts the reaper.
pub(crate) fn next_lab_name() -> Result<String> {
    static REAPER: OnceLock<Option<ChildStdin>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let me = std::process::id();
    let reaper = REAPER.get_or_init(|| {
        sweep_leftovers(me);
        start_reaper(me).inspect_err(|error| eprintln!("lab: no reaper: {error}")).ok()
    });
    if reaper.is_none() {
        bail!("the process that cleans up after a killed test could not be started");
    }
    Ok(format!("rb{me}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

/// Ends when the write end of its standard input closes, which this process's death does, and sweeps then.
fn start_reaper(me: u32) -> io::Result<ChildStdin> {
    let script = format!("trap '' HUP INT TERM; read -r _; {SWEEP}");
    let mut reaper = Command::new("sh")
        .args(["-c", &script, "reaper", &format!("rb{me}-")])
        .env("LAB_TMP", std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C reaches the terminal's foreground group; the reaper must outlive it.
        .process_group(0)
        .spawn()?;
    reaper.stdin.take().ok_or_else(|| io::Error::other("no pipe"))
}

fn sweep_leftovers(me: u32) {
    let mut dead: Vec<String> = [PathBuf::from(NETNS), BPF_FS.into(), std::env::temp_dir()]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| owner(entry.ok()?.file_name().to_str()?))
        // An own name at this point is that of an earlier process with this number.
        .filter(|pid| *pid == me || !Path::new("/proc").join(pid.to_string()).exists())
        .map(|pid| format!("rb{pid}-"))
        .collect();
    dead.sort();
    dead.dedup();
    if !dead.is_empty() {
        let mut sweep = Command::new("sh");
        sweep.args(["-c", SWEEP, "sweep"]).args(&dead).env("LAB_TMP", std::env::temp_dir()).stderr(Stdio::null());
        if let Err(error) = sweep.status() {
            eprintln!("lab: could not sweep {}: {error}", dead.join(" "));
        }
    }
}

/// The process whose lab bears this name.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix("rb")?.split_once('-')?.0.parse().ok()
}
