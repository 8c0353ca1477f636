//! TLS of connections that we open: the authorities that this system trusts and, where configured, others.

use std::{fs, io, path::Path, sync::Arc};

use monitor_core::config::{Key, Mistake};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, ring::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

/// Why there can be no such connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with roots cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It holds no certificate.
    #[error("holds no certificate")]
    NoCertificate,
    /// Anything else.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// The authorities in the system's store, which is where companies put their own. Without a store there are none, and a
/// `ca_file` is needed: that is said, and no reason not to start.
fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    for error in &found.errors {
        tracing::warn!(%error, "certificates of this system's authorities cannot be read");
    }
    if unusable > 0 {
        tracing::debug!(unusable, "certificates of this system's authorities are left out");
    }
    roots
}

impl TlsError {
    /// The mistake that it is where this key names the file; the reason names the file too.
    pub(crate) fn at(&self, key: Key, reason: String) -> Mistake {
        match self {
            Self::NoCertificate => Mistake::new(key, reason, "write PEM (-----BEGIN CERTIFICATE-----)"),
            Self::Unreadable(_) | Self::Setup(_) => Mistake::plain(key, reason),
        }
    }
}

/// Trusts the system's authorities and those in the file (PEM).
pub(crate) fn client(roots_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = of_the_system();
    if let Some(path) = roots_file {
        let pem = fs::read(path).map_err(TlsError::Unreadable)?;
        let certificates =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|_| TlsError::NoCertificate)?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|_| TlsError::NoCertificate)?;
        }
    }
    if roots.is_empty() {
        tracing::warn!("this system trusts no authority, so no server can be: install ca-certificates, or set ca_file");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Takes every certificate, for TLS that could as well be left out (RFC 7435): it keeps those out who only listen.
pub(crate) fn client_of_anybody() -> Result<Arc<ClientConfig>, TlsError> {
    let provider = default_provider();
    let verifier = AnyCertificate(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Whoever has the certificate's key is the server.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
