//! A certificate as proof: assertions signed with its key.
//!
//! Microsoft's library can do this by itself only with OpenSSL; here ring signs.

mod validity;

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::{
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::validity::not_after;

/// How long an assertion is good for. Five to ten minutes is what Microsoft recommends.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Where a certificate and its key stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM with the certificate; further ones of its chain do no harm.
    pub certificate: PathBuf,
    /// PEM with the private key, if it is not in the same file.
    pub key: Option<PathBuf>,
}

/// A certificate that cannot be used. The texts name files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: Box<str>,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// There is no certificate in the file.
    #[error("{0} holds no certificate in pem form; make one of a .pfx with openssl pkcs12 -in x.pfx -nodes")]
    NoCertificate(Box<str>),
    /// There is no private key in the file.
    #[error("{0} holds no private key in pem form; name the file that does in private_key_file")]
    NoKey(Box<str>),
    /// The key asks for a passphrase, which nobody can type.
    #[error(
        "the private key in {0} is encrypted; store it without a passphrase, readable for the worker only"
    )]
    Encrypted(Box<str>),
    /// Entra takes RSA keys only.
    #[error("the private key in {path} is no rsa key of 2048 to 4096 bits, which entra asks for")]
    Unusable {
        /// The file.
        path: Box<str>,
        /// What the library said.
        #[source]
        cause: Option<KeyRejected>,
    },
    /// Certificate and key are not a pair.
    #[error("the private key in {key} belongs to no certificate in {certificate}")]
    NoPair {
        /// File of the certificate.
        certificate: Box<str>,
        /// File of the key.
        key: Box<str>,
    },
}

/// A certificate with its key, ready to sign.
pub(super) struct Certificate {
    thumbprint: String,
    key: RsaKeyPair,
    ends: Option<Timestamp>,
}

impl CertificateFiles {
    /// Reads and checks them; for the settings, which tell mistakes before the first request does.
    pub fn check(&self) -> Result<(), CertificateError> {
        self.load().map(drop)
    }

    /// When the certificate ends, as far as it can be read.
    pub fn ends(&self) -> Result<Option<Timestamp>, CertificateError> {
        Ok(self.load()?.ends)
    }

    /// Reads both files as they are now.
    pub(super) fn load(&self) -> Result<Certificate, CertificateError> {
        let pem = read(&self.certificate)?;
        let key_file = self.key.as_ref().unwrap_or(&self.certificate);
        let key = match &self.key {
            Some(path) => key(&read(path)?, path)?,
            None => key(&pem, key_file)?,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate(name(&self.certificate)));
        }
        let of_key = chain.iter().find(|der| is_of(der, &key));
        let certificate = of_key.ok_or_else(|| CertificateError::NoPair {
            certificate: name(&self.certificate),
            key: name(key_file),
        })?;
        let (thumbprint, ends) =
            (URL_SAFE_NO_PAD.encode(Sha256::digest(certificate)), not_after(certificate));
        Ok(Certificate { thumbprint, key, ends })
    }
}

impl Certificate {
    /// A signed statement that we are `client_id`, for the token endpoint `audience`.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<String, Unspecified> {
        let header = json!({ "typ": "JWT", "alg": "PS256", "x5t#S256": self.thumbprint });
        let (issued, expires) = (now.as_second(), (now + LIFETIME).as_second());
        let claims = json!({
            "aud": audience, "iss": client_id, "sub": client_id, "jti": Uuid::new_v4().to_string(),
            "nbf": issued, "iat": issued, "exp": expires,
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(sign(&self.key, signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }
}

fn sign(key: &RsaKeyPair, text: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), text, &mut signature)?;
    Ok(signature)
}

/// Whether the key's signatures are the certificate's.
fn is_of(certificate: &CertificateDer<'_>, key: &RsaKeyPair) -> bool {
    let probe = b"contactsync";
    let Ok(signature) = sign(key, probe) else { return false };
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|certificate| {
        let algorithm = webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY;
        certificate.verify_signature(algorithm, probe, &signature).is_ok()
    })
}

fn key(pem: &[u8], path: &Path) -> Result<RsaKeyPair, CertificateError> {
    let unusable = |cause| CertificateError::Unusable { path: name(path), cause };
    let holds = |text: &[u8]| pem.windows(text.len()).any(|window| window == text);
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(PrivateKeyDer::Pkcs8(der)) => {
            RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|cause| unusable(Some(cause)))
        }
        Ok(PrivateKeyDer::Pkcs1(der)) if !holds(b"ENCRYPTED") => {
            RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|cause| unusable(Some(cause)))
        }
        _ if holds(b"ENCRYPTED") => Err(CertificateError::Encrypted(name(path))),
        Ok(_) => Err(unusable(None)),
        Err(_) => Err(CertificateError::NoKey(name(path))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|cause| CertificateError::Unreadable { path: name(path), cause })
}

fn name(path: &Path) -> Box<str> {
    path.display().to_string().into()
}

#[cfg(test)]
mod tests;
