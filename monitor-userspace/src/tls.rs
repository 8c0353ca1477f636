//! TLS of connections that we open: the built-in roots and, where configured, others.

use std::{fs, io, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// Why there can be no such connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with roots cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It holds no certificate.
    #[error("holds no certificate: write PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// Anything else.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Trusts the built-in roots and those in the file (PEM).
pub(crate) fn client(roots_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
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
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
