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

use jiff::tz::TimeZone;
use monitor_core::{
    config::{Key, Mistake, Mistakes, SecretError, StandInTls},
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

/// Certificates that can be used and are not good at this time. They are no mistake of the configuration: everything else
/// works.
#[must_use]
pub fn out_of_date(settings: &[StandInTls], now: UnixMs) -> Vec<Mistake> {
    let mistake = |(index, setting): (usize, &StandInTls)| {
        let Entry { file, lifetime, .. } = Entry::load(setting).ok()?;
        let validity = lifetime.validity(now);
        let reason = format!("{} {}", file.display(), lifetime.words(validity, &TimeZone::system()));
        (!validity.is_good()).then(|| Mistake::plain(Key::from("standin.tls").at(index).to("certificate"), reason))
    };
    settings.iter().enumerate().filter_map(mistake).collect()
}

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
    /// Reads the files.
    pub(super) fn load(settings: &[StandInTls]) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let load = |(index, setting): (usize, &StandInTls)| {
            let entry = Key::from("standin.tls").at(index);
            mistakes.take(Entry::load(setting).map_err(|error| error.at(&entry)))
        };
        let entries = settings.iter().enumerate().filter_map(load).collect();
        mistakes.or(Some(Self(entries)))
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
    fn load(setting: &StandInTls) -> Result<Self, CertificateFault> {
        let file = &setting.certificate;
        let no_chain = |error| unreadable(file, Pem::Certificate, error);
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(no_chain)?;
        let leaf = chain.first().cloned().ok_or_else(|| no_chain(pem::Error::NoItemsFound))?;
        if let Some(what) = refused(&leaf) {
            return Err(CertificateFault::Refused { file: file.clone(), what });
        }
        let shown = setting.key.clone();
        let key =
            PrivateKeyDer::from_pem_file(&setting.key).map_err(|error| unreadable(&setting.key, Pem::Key, error))?;
        if fs::metadata(&setting.key).is_ok_and(|metadata| metadata.mode() & 0o007 != 0) {
            return Err(CertificateFault::Key(SecretError::Public(shown)));
        }
        let lifetime = Lifetime {
            begins: chain.iter().filter_map(begin).max().unwrap_or(UnixMs(0)),
            ends: chain.iter().filter_map(end).min().unwrap_or(UnixMs(i64::MAX)),
        };
        let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|source| CertificateFault::Mismatch { key: shown, file: file.clone(), source })?;
        Ok(Self { servers: setting.servers.clone(), file: file.clone(), leaf, lifetime, tls: Arc::new(tls) })
    }

    fn is_for(&self, server: IpAddr) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|net| net.net().contains(&server))
    }

    fn is_named(&self, name: &ServerName<'_>) -> bool {
        ParsedCertificate::try_from(&self.leaf).is_ok_and(|leaf| verify_server_name(&leaf, name).is_ok())
    }
}

/// What a file is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pem {
    Certificate,
    Key,
}

impl Pem {
    const fn word(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        }
    }
}

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
enum CertificateFault {
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, holds: Pem, source: io::Error },
    #[error("{} holds no {}", file.display(), holds.word())]
    Empty { file: PathBuf, holds: Pem },
    #[error("{} is not PEM: {source}", file.display())]
    NoPem { file: PathBuf, holds: Pem, source: pem::Error },
    #[error("{} is not a certificate: {what}", file.display())]
    Refused { file: PathBuf, what: String },
    #[error(transparent)]
    Key(SecretError),
    #[error("{} does not go with {}: {source}", key.display(), file.display())]
    Mismatch { key: PathBuf, file: PathBuf, source: rustls::Error },
}

impl CertificateFault {
    /// The mistake that it is in this entry.
    fn at(&self, entry: &Key) -> Mistake {
        let of = |holds: &Pem| entry.to(if *holds == Pem::Key { "key" } else { "certificate" });
        let reason = self.to_string();
        match self {
            Self::Empty { holds, .. } => {
                Mistake::new(of(holds), reason, format!("write PEM (-----BEGIN {}-----)", holds.word().to_uppercase()))
            }
            Self::Unreadable { holds, .. } | Self::NoPem { holds, .. } => Mistake::plain(of(holds), reason),
            Self::Refused { .. } => Mistake::plain(entry.to("certificate"), reason),
            Self::Key(error) => error.at(entry.to("key")),
            Self::Mismatch { .. } => Mistake::plain(entry.to("key"), reason),
        }
    }
}

fn unreadable(file: &Path, holds: Pem, error: pem::Error) -> CertificateFault {
    let file = file.to_owned();
    match error {
        pem::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            CertificateFault::Unreadable { file, holds, source }
        }
        pem::Error::NoItemsFound => CertificateFault::Empty { file, holds },
        source => CertificateFault::NoPem { file, holds, source },
    }
}

/// Whether a browser would refuse the certificate at any time, and why. The path to an authority is not looked at: it is the
/// client's to judge. Without one, the check of everything else still comes first.
fn refused(leaf: &CertificateDer<'_>) -> Option<String> {
    match judged(leaf, UnixTime::now()) {
        Ok(CertificateError::BadEncoding) => Some("its encoding is wrong".to_owned()),
        Ok(_) => None,
        Err(error) => Some(error.to_string()),
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
