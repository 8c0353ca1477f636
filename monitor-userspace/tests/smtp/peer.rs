//! Real programs on the other side.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Folders below `root` of `RINGBACK_PEERS`, where packages are unpacked.
const FOLDERS: [&str; 5] = ["usr/sbin", "usr/bin", "usr/lib/postfix/sbin", "usr/libexec", "sbin"];
/// Where unpacked programs have their libraries.
const LIBRARIES: [&str; 3] = ["usr/lib/postfix", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu"];

fn unpacked_root() -> Option<PathBuf> {
    env::var_os("RINGBACK_PEERS").map(|peers| Path::new(&peers).join("root"))
}

/// The program, from the unpacked packages or from PATH. Absent programs fail a test, they never skip it.
pub(crate) fn find(program: &str) -> PathBuf {
    let unpacked = unpacked_root().into_iter();
    let unpacked = unpacked.flat_map(|root| FOLDERS.map(|folder| root.join(folder)));
    let path = env::var_os("PATH").unwrap_or_default();
    unpacked
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("no program {program}: run cargo xtask test, it fetches them"))
}

/// The program with the libraries of the unpacked packages.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(find(program));
    with_libraries(&mut command);
    command
}

/// Lets `command`, and what it starts, find the libraries of the unpacked packages.
pub(crate) fn with_libraries(command: &mut Command) {
    if let Some(root) = unpacked_root() {
        let libraries = LIBRARIES.map(|folder| root.join(folder));
        command.env("LD_LIBRARY_PATH", env::join_paths(libraries).unwrap());
    }
}

/// A free port of 127.0.0.1, for a server that is started later.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Postfix's `smtp-sink`; ends when dropped.
pub(crate) struct SmtpSink {
    child: Child,
    mail: tempfile::TempDir,
}

impl SmtpSink {
    /// `options`: such as `-r RCPT` (4xx), `-f RCPT` (5xx), `-q RCPT` (hangs up).
    pub(crate) fn start(listen: SocketAddr, options: &[&str]) -> Self {
        let mail = tempfile::tempdir().unwrap();
        let mut command = command("smtp-sink");
        if nix::unistd::geteuid().is_root() {
            // It insists on giving root's rights up; then it must be able to write here.
            std::fs::set_permissions(mail.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
            command.args(["-u", "nobody"]);
        }
        command.args(options).arg("-d").arg(mail.path().join("mail.")).arg(listen.to_string()).arg("100");
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let sink = Self { child, mail };
        let start = Instant::now();
        while TcpStream::connect(listen).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "smtp-sink does not listen");
            std::thread::yield_now();
        }
        sink
    }

    /// The messages it took; each begins with lines on the client, the envelope's `X-Mail-Args` and `X-Rcpt-Args`.
    pub(crate) fn messages(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.mail.path()).unwrap();
        files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .filter(|text| !text.is_empty())
            .collect()
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
