//! A private certificate authority, made anew at every start.
//!
//! Microsoft's libraries insist on TLS: the identity ones for the authority, the Service Bus ones for AMQP. The
//! authority lives in memory only, so there is no key on disk that anyone could come to trust by accident.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use thiserror::Error;

/// Why the authority could not be made, or could not vouch for a server.
#[derive(Debug, Error)]
pub enum Error {
    /// A name is not usable in a certificate, or the key could not be made.
    #[error("make a certificate for the local servers")]
    Certificate(#[from] rcgen::Error),
    /// The certificate was made but rustls refuses it.
    #[error("set up TLS for the local servers")]
    Tls(#[from] rustls::Error),
}

/// The authority that clients are told to trust.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    /// Makes a fresh key and a self-signed authority certificate.
    pub fn new() -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "contactsync emulator private CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's certificate, to be written where a client looks for its roots.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// TLS for a server that answers to `names` (DNS names or IP addresses). No ALPN protocol is set.
    pub fn server_config(&self, names: &[impl AsRef<str>]) -> Result<Arc<ServerConfig>, Error> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "contactsync emulator");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // OpenSSL in strict mode, which newer Python versions switch on, asks for this extension.
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // The provider is named because a process-wide default may be missing, or be another one.
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone(), self.issuer.der().clone()], private)?;
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_authority_is_another_one() -> Result<(), Error> {
        assert_ne!(Ca::new()?.pem(), Ca::new()?.pem());
        Ok(())
    }

    #[test]
    fn names_and_addresses_are_vouched_for_and_nonsense_is_refused() -> Result<(), Error> {
        let ca = Ca::new()?;
        ca.server_config(&["localhost", "127.0.0.1", "graph.microsoft.com"])?;
        assert!(matches!(ca.server_config(&["nämé"]), Err(Error::Certificate(_))));
        Ok(())
    }
}
