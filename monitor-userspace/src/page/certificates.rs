//! The operator's certificates: for which servers and names the page can stand in over TLS.
//!
//! One whose time is over, or has not come, is none: who asks for its names gets what names without a certificate get.

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use monitor_core::{
    config::StandInTls,
    domain::{ClientNet, UnixMs},
};
use tokio_rustls::rustls::{
    self, CertificateError, RootCertStore, ServerConfig,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::ring::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject as _},
    },
    server::ParsedCertificate,
};

use super::expiry::Lifetime;
use crate::clock::Now as _;

/// Later than any certificate lasts: RFC 5280 ends with the year 9999.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_800);

/// All of them, in the order of the configuration.
pub(super) struct Certificates(Vec<Entry>);

struct Entry {
    /// Empty: every server.
    servers: Vec<ClientNet>,
    file: PathBuf,
    leaf: CertificateDer<'static>,
    /// When all certificates of the chain are good.
    lifetime: Lifetime,
    tls: Arc<ServerConfig>,
}

impl Certificates {
    /// Reads the files. An error is the key below `standin`, and what is wrong.
    pub(super) fn load(settings: &[StandInTls]) -> Result<Self, (String, String)> {
        let entry = |(index, setting): (usize, &StandInTls)| {
            Entry::load(setting).map_err(|(key, what)| (format!("tls[{index}].{key}"), what))
        };
        settings.iter().enumerate().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Each file, and when it is good.
    pub(super) fn lifetimes(&self) -> impl Iterator<Item = (&Path, Lifetime)> {
        self.0.iter().map(|entry| (entry.file.as_path(), entry.lifetime))
    }

    /// The servers that there is a certificate for, as networks.
    pub(super) fn servers(&self) -> Vec<ClientNet> {
        let all = || [ClientNet::all_v4(), ClientNet::all_v6()];
        let of = |entry: &Entry| if entry.servers.is_empty() { all().to_vec() } else { entry.servers.clone() };
        self.in_time().flat_map(of).collect()
    }

    /// Whether the page stands in for this server's HTTPS.
    pub(super) fn are_for(&self, server: IpAddr) -> bool {
        self.in_time().any(|entry| entry.is_for(server))
    }

    /// What to speak with a client that asks the server for `name`; for one that names nothing (as with an address in the
    /// URL) the server's address must be in the certificate.
    pub(super) fn of(&self, server: IpAddr, name: Option<&str>) -> Option<Arc<ServerConfig>> {
        let name = match name {
            Some(name) => ServerName::try_from(name).ok()?,
            None => ServerName::from(server),
        };
        let found = self.in_time().find(|entry| entry.is_for(server) && entry.is_named(&name))?;
        Some(Arc::clone(&found.tls))
    }

    fn in_time(&self) -> impl Iterator<Item = &Entry> {
        let now = UnixMs::now();
        self.0.iter().filter(move |entry| entry.lifetime.validity(now).is_good())
    }
}

impl Entry {
    fn load(setting: &StandInTls) -> Result<Self, (&'static str, String)> {
        let file = &setting.certificate;
        let in_file = |what: String| ("certificate", what);
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| in_file(unreadable(file, "certificate", &error)))?;
        let Some(leaf) = chain.first().cloned() else {
            return Err(in_file(unreadable(file, "certificate", &pem::Error::NoItemsFound)));
        };
        if let Some(what) = refused(&leaf) {
            return Err(in_file(format!("{} {what}", file.display())));
        }
        let in_key = |what: String| ("key", what);
        let key = PrivateKeyDer::from_pem_file(&setting.key)
            .map_err(|error| in_key(unreadable(&setting.key, "private key", &error)))?;
        let shown = setting.key.display();
        if fs::metadata(&setting.key).is_ok_and(|metadata| metadata.mode() & 0o007 != 0) {
            return Err(in_key(format!("{shown} can be read by everybody: chmod 640 {shown}")));
        }
        let lifetime = Lifetime {
            begins: chain.iter().filter_map(begin).max().unwrap_or(UnixMs(0)),
            ends: chain.iter().filter_map(end).min().unwrap_or(UnixMs(i64::MAX)),
        };
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| in_key(format!("{shown} does not go with {}: {error}", file.display())))?;
        Ok(Self { servers: setting.servers.clone(), file: file.clone(), leaf, lifetime, tls: Arc::new(tls) })
    }

    fn is_for(&self, server: IpAddr) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|net| net.net().contains(&server))
    }

    fn is_named(&self, name: &ServerName<'_>) -> bool {
        ParsedCertificate::try_from(&self.leaf).is_ok_and(|leaf| verify_server_name(&leaf, name).is_ok())
    }
}

fn unreadable(file: &Path, kind: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
            format!("{} cannot be read: {error}", file.display())
        }
        pem::Error::NoItemsFound => {
            format!("{} holds no {kind}: write PEM (-----BEGIN {}-----)", file.display(), kind.to_uppercase())
        }
        error => format!("{} is not PEM: {error}", file.display()),
    }
}

/// Whether a browser would refuse the certificate at any time, and why. The path to an authority is not looked at: it is the
/// client's to judge. Without one, the check of everything else still comes first.
fn refused(leaf: &CertificateDer<'_>) -> Option<String> {
    match judged(leaf, UnixTime::now()) {
        Ok(CertificateError::BadEncoding) => Some("is not a certificate: its encoding is wrong".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("is not a certificate: {error}")),
    }
}

/// The first moment of its time.
fn begin(certificate: &CertificateDer<'_>) -> Option<UnixMs> {
    match judged(certificate, UnixTime::since_unix_epoch(Duration::ZERO)) {
        Ok(CertificateError::NotValidYetContext { not_before, .. }) => Some(unix(not_before)),
        _ => None,
    }
}

/// The last moment of its time.
fn end(certificate: &CertificateDer<'_>) -> Option<UnixMs> {
    match judged(certificate, UnixTime::since_unix_epoch(END_OF_TIME)) {
        Ok(CertificateError::ExpiredContext { not_after, .. }) => Some(unix(not_after)),
        _ => None,
    }
}

/// What is said against it at that moment; never nothing, as no authority is known.
fn judged(certificate: &CertificateDer<'_>, at: UnixTime) -> Result<CertificateError, rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let algorithms = default_provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], at, algorithms) {
        Err(rustls::Error::InvalidCertificate(error)) => Ok(error),
        Err(error) => Err(error),
        Ok(()) => Ok(CertificateError::UnknownIssuer),
    }
}

fn unix(at: UnixTime) -> UnixMs {
    UnixMs(i64::try_from(at.as_secs()).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
}
