//! OpenSMTPD, which delivers into the Maildir of each recipient. Needs root, for a mount namespace of its own.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::peer;

/// Ends when dropped.
pub(crate) struct OpenSmtpd {
    child: Child,
    folder: tempfile::TempDir,
}

impl OpenSmtpd {
    /// Takes mail for everybody at example.net.
    pub(crate) fn start(listen: SocketAddr) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "OpenSMTPD needs root: run the tests as root");
        let smtpd = peer::find("smtpd");
        let packages = smtpd.ancestors().nth(3).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mail = folder.path().join("mail");
        fs::create_dir(&mail).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&mail, fs::Permissions::from_mode(0o777)).unwrap();
        let config = format!(
            "table everybody {{ \"@example.net\" = \"nobody\" }}\n\
             listen on {} port {} hostname mx.example.net\n\
             action \"box\" maildir \"{}/%{{dest.user}}\" virtual <everybody>\n\
             match from any for domain \"example.net\" action \"box\"\n",
            listen.ip(),
            listen.port(),
            mail.display(),
        );
        // It refuses a configuration that others may write.
        let mut file = fs::OpenOptions::new();
        let mut file = file.write(true).create_new(true).mode(0o600).open(folder.path().join("smtpd.conf")).unwrap();
        std::io::Write::write_all(&mut file, config.as_bytes()).unwrap();
        let mut command = Command::new("unshare");
        peer::with_libraries(&mut command);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp/opensmtpd.sh");
        command.args(["--mount", "sh", script]).arg(packages).arg(folder.path());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let server = Self { child, folder };
        let start = Instant::now();
        while TcpStream::connect(listen).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "OpenSMTPD does not listen: {}", server.log());
            std::thread::yield_now();
        }
        server
    }

    /// The mails that `user` got, once there are `count` of them, within 20 s.
    pub(crate) async fn mails(&self, user: &str, count: usize) -> Vec<String> {
        let new = self.folder.path().join("mail").join(user).join("new");
        let mut look = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1000 {
            look.tick().await;
            let files = files(&new);
            if files.len() >= count {
                return files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
            }
        }
        panic!("no {count} mails for {user}: {}", self.log());
    }

    /// What it says; a line per delivery names sender and recipient.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map(|files| files.map(|file| file.unwrap().path()).collect()).unwrap_or_default()
}

impl Drop for OpenSmtpd {
    fn drop(&mut self) {
        // SIGTERM: it ends its children first.
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}
