//! A whole mail host: OpenSMTPD takes the mail, Dovecot gives it out by POP3.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::{Attempt, Host, Mail, Maildir, Process, peers, wait_until, webhook_server::certificate};

/// The password of every mailbox.
pub const PASSWORD: &str = "open-sesame";

/// SMTP on port 25, POP3 with STLS on port 110, POP3S on port 995, for everybody at `lab.test`; ended on drop.
#[derive(Debug)]
pub struct MailHost {
    process: Process,
    folder: PathBuf,
    address: SocketAddr,
}

impl MailHost {
    /// Starts both on the host's IPv4 address, with a certificate for it, and waits until they accept.
    pub fn start(host: &Host) -> Result<Self> {
        let folder = host.folder().join("mail-host");
        let mail = folder.join("mail");
        fs::create_dir_all(&mail).with_context(|| format!("cannot create {}", mail.display()))?;
        // Both deliver and read as nobody.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(&mail, fs::Permissions::from_mode(0o777))?;
        let certificate = certificate(host, &folder)?;
        let (ip, at) = (host.v4(), folder.display());
        // It refuses a configuration that others may write.
        let mut file = fs::OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600).open(folder.join("smtpd.conf"))?.write_all(
            format!(
                "table everybody {{ \"@lab.test\" = \"nobody\" }}\n\
                 listen on {ip} port 25 hostname mx.lab.test\n\
                 action \"box\" maildir \"{at}/mail/%{{dest.user}}\" virtual <everybody>\n\
                 match from any for domain \"lab.test\" action \"box\"\n"
            )
            .as_bytes(),
        )?;
        fs::write(
            folder.join("dovecot.conf"),
            format!(
                "protocols = pop3\nlisten = {ip}\nbase_dir = /run/dovecot\nstate_dir = /var/lib/dovecot\n\
                 log_path = {at}/dovecot.log\nmail_location = maildir:{at}/mail/%n\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
                 import_environment = LD_LIBRARY_PATH\ndisable_plaintext_auth = no\n\
                 ssl = yes\nssl_cert = <{0}\nssl_key = <{at}/key.pem\n\
                 default_internal_user = dovecot\ndefault_login_user = dovenull\n\
                 service pop3-login {{\n chroot =\n}}\nservice anvil {{\n chroot =\n}}\n\
                 passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
                 userdb {{\n driver = static\n args = uid=nobody gid=nogroup home={at}/mail/%n\n}}\n",
                certificate.display()
            ),
        )?;
        let script = folder.join("start.sh");
        fs::write(&script, include_str!("mail_host.sh"))?;
        let mut command = host.command("unshare");
        command.args(["--mount", "sh"]).arg(&script).arg(peers::packages()).arg(&folder);
        if let Some(libraries) = peers::libraries()? {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let mut process = host.spawn("mail-host", &mut command)?;
        for port in [25, 110] {
            let address = host.service_v4(port);
            wait_until(&format!("the mail host accepts on port {port}"), Duration::from_secs(15), || {
                !process.is_running()
                    || matches!(host.connect(None, address, Duration::from_secs(1)), Ok(Attempt::Connected))
            })
            .with_context(|| process.output())?;
            ensure!(process.is_running(), "the mail host ended at once: {}", process.output());
        }
        Ok(Self { process, folder, address: host.service_v4(25) })
    }

    /// For `notify.smtp`.
    #[must_use]
    pub fn smtp(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// For `mailbox.pop3`.
    #[must_use]
    pub fn pop3(&self) -> String {
        format!("pop3+starttls://{}", self.address.ip())
    }

    /// Its certificate, for `mailbox.pop3_ca_file`.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// A file with [`PASSWORD`].
    pub fn password_file(&self) -> Result<PathBuf> {
        let file = self.folder.join("password");
        fs::write(&file, PASSWORD)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }

    /// What is in a mailbox now.
    pub fn mails(&self, user: &str) -> Result<Vec<Mail>> {
        Maildir::below(&self.folder.join("mail").join(user)).mails()
    }

    /// What OpenSMTPD has printed; Dovecot's words are in `mail-host/dovecot.log` in the host's folder.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Puts bytes into a mailbox as they are.
    pub fn put(&self, user: &str, name: &str, mail: &[u8]) -> Result<()> {
        let maildir = self.folder.join("mail").join(user);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(part))?;
        }
        let file = maildir.join("new").join(name);
        fs::write(&file, mail)?;
        for path in [&maildir, &maildir.join("cur"), &maildir.join("new"), &maildir.join("tmp"), &file] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
        }
        Ok(())
    }
}

impl Drop for MailHost {
    fn drop(&mut self) {
        // SIGTERM: the script ends its children first.
        if self.process.signal(Signal::SIGTERM).is_ok() {
            let _ = self.process.wait_for_end(Duration::from_secs(10));
        }
    }
}
