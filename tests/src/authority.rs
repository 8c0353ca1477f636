//! A certificate authority of the lab, by openssl.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};

use crate::Host;

/// Of the elliptic kind: made in a moment.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// What `openssl ca` wants to know; only it can choose when a certificate's time begins and ends.
const CA: &str = "[ca]\ndefault_ca = lab\n[lab]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\n\
                  default_md = sha256\npolicy = any\ncopy_extensions = copy\nx509_extensions = server\n[any]\n\
                  commonName = supplied\n[server]\nbasicConstraints = critical,CA:FALSE\n";

/// The authority; its files go with the lab.
#[derive(Debug)]
pub struct Authority<'lab> {
    host: &'lab Host,
    folder: PathBuf,
}

/// A certificate and its private key, in files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM, for its owner and group alone.
    pub key: PathBuf,
}

impl<'lab> Authority<'lab> {
    /// Makes one in a folder of the host's.
    pub fn new(host: &'lab Host, name: &str) -> Result<Self> {
        let folder = host.folder().join(name);
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let authority = Self { host, folder };
        let subject = format!("/CN={name}");
        authority
            .openssl(&["req", "-x509", "-days", "2", "-subj", &subject, "-keyout", "ca.key", "-out", "ca.pem"], true)?;
        Ok(authority)
    }

    /// Its own certificate, for `curl --cacert`.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A server's certificate with these names: `DNS:www.example.test,IP:192.0.2.7`.
    pub fn certify(&self, file: &str, names: &str) -> Result<Certificate> {
        let (names, pem, key) = (format!("subjectAltName={names}"), format!("{file}.pem"), format!("{file}.key"));
        let server = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", &names];
        let signed = ["-days", "2", "-subj", "/CN=server", "-CA", "ca.pem", "-CAkey", "ca.key"];
        let files = ["-keyout", &key, "-out", &pem];
        self.openssl(&[&["req", "-x509"][..], &signed, &server, &files].concat(), true)?;
        self.certificate(&pem, &key)
    }

    /// One whose time is over.
    pub fn expired(&self) -> Result<Certificate> {
        self.dated("expired", "DNS:expired.test", "20200101000000Z", "20200102000000Z")
    }

    /// A server's certificate that is good until then.
    pub fn certify_until(&self, file: &str, names: &str, end: SystemTime) -> Result<Certificate> {
        self.dated(file, names, "20200101000000Z", &self.date(end)?)
    }

    /// A server's certificate that is good from then on.
    pub fn certify_from(&self, file: &str, names: &str, begin: SystemTime) -> Result<Certificate> {
        self.dated(file, names, &self.date(begin)?, "20990101000000Z")
    }

    /// As openssl writes it.
    fn date(&self, at: SystemTime) -> Result<String> {
        let at = format!("@{}", at.duration_since(UNIX_EPOCH)?.as_secs());
        let date = self.host.command("date").args(["--utc", "--date", &at, "+%Y%m%d%H%M%SZ"]).output()?;
        Ok(String::from_utf8(date.stdout)?.trim().to_owned())
    }

    fn dated(&self, file: &str, names: &str, start: &str, end: &str) -> Result<Certificate> {
        let [pem, key, request] = ["pem", "key", "csr"].map(|kind| format!("{file}.{kind}"));
        let names = format!("subjectAltName={names}");
        let ask = ["req", "-new", "-subj", "/CN=server", "-addext", &names, "-keyout", &key, "-out", &request];
        self.openssl(&ask, true)?;
        fs::write(self.folder.join("ca.cnf"), CA)?;
        fs::write(self.folder.join("index"), "")?;
        let signed = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
        let dates = ["-startdate", start, "-enddate", end, "-in", &request, "-out", &pem];
        self.openssl(&[&signed[..], &dates].concat(), false)?;
        self.certificate(&pem, &key)
    }

    fn certificate(&self, pem: &str, key: &str) -> Result<Certificate> {
        Ok(Certificate { certificate: self.folder.join(pem), key: self.folder.join(key) })
    }

    fn openssl(&self, args: &[&str], new_key: bool) -> Result<()> {
        let mut openssl = self.host.command("openssl");
        openssl.args(args).args(new_key.then_some(KEY).into_iter().flatten()).current_dir::<&Path>(&self.folder);
        let output = openssl.output().context("cannot start `openssl`")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
