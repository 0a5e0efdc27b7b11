//! Whom TLS trusts: the certificates of the operating system, and those of a file.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig,
    crypto::ring,
    pki_types::{CertificateDer, pem, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

/// Why the trusted certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the extra certificate cannot be read.
    #[error("the ca file {path} cannot be read; name a PEM file with a certificate")]
    Unreadable {
        /// The file.
        path: Box<str>,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is no certificate.
    #[error("the ca file {path} holds no certificate in PEM form")]
    NoCertificate {
        /// The file.
        path: Box<str>,
        /// Why, if the parser said.
        #[source]
        cause: Option<pem::Error>,
    },
    /// The certificates are not usable.
    #[error("the trusted certificates cannot be loaded")]
    Unusable(#[source] rustls::Error),
}

/// TLS that trusts what the operating system trusts, and the certificates in `ca_file` (PEM) if there is one.
pub fn trusting(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    let extra = ca_file.map_or_else(|| Ok(Vec::new()), certificates)?;
    config(extra).map_err(Error::Unusable)
}

fn config(extra: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    // Named, because the default of the library would need cmake and minutes of C.
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let name: Box<str> = path.display().to_string().into();
    let pem = std::fs::read(path).map_err(|cause| Error::Unreadable { path: name.clone(), cause })?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Error::NoCertificate { path: name, cause: None }),
        Err(cause) => Err(Error::NoCertificate { path: name, cause: Some(cause) }),
    }
}
