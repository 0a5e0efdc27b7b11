//! An outside issuer for tests: what a Kubernetes cluster or a build service is to workload identity federation.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::clock;

/// Why an issuer could not do its work.
#[derive(Debug, Error)]
pub enum IssuerError {
    /// The system gave no randomness.
    #[error("get randomness for a key or a signature")]
    Randomness(#[from] Unspecified),
    /// The fresh key is not usable.
    #[error("use a fresh key")]
    Key(#[from] KeyRejected),
}

/// An issuer with one key of its own.
///
/// It signs with ES256 because such keys are made in no time; Microsoft takes RS256 from real issuers, and so does
/// the local authority.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    key_id: String,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    /// An issuer of this name, with a fresh key.
    pub fn new(url: &str) -> Result<Self, IssuerError> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random)?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)?;
        Ok(Self { url: url.to_owned(), key_id: Uuid::new_v4().to_string(), key, random })
    }

    /// Its name.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its public key as a JSON Web Key Set.
    #[must_use]
    pub fn keys(&self) -> Value {
        // An uncompressed point: one byte of form, then the two coordinates of 32 bytes.
        let point = self.key.public_key().as_ref();
        let coordinate = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.key_id,
            "x": coordinate(1..33), "y": coordinate(33..65),
        }] })
    }

    /// A token for `subject` that is good from now on for so long.
    pub fn assertion(&self, subject: &str, audience: &str, life: Duration) -> Result<String, IssuerError> {
        let now = clock::now().as_second();
        let until = now.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": self.key_id });
        let claims = json!({
            "iss": self.url, "sub": subject, "aud": audience, "iat": now, "nbf": now, "exp": until,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&self.random, signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
