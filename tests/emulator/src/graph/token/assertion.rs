//! Signed assertions in place of a secret: by the app's own certificate, or by an outside issuer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, pem::PemObject};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::app::{App, FederatedCredential};
use crate::graph::options::Tenant;

/// Clocks of clients may be this many seconds apart from ours.
const SKEW: f64 = 300.0;

/// A JSON Web Token, taken apart but not yet believed.
struct Token<'a> {
    header: Header,
    claims: Claims,
    /// Header and claims as they were signed.
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<String>,
}

/// Dates may have a fraction: MSAL for Python sends them so, and leaves `nbf` out.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: f64,
    nbf: Option<f64>,
}

/// Checks an assertion at `now` (seconds since 1970), or says which error it is.
pub(super) fn verify(app: &App, tenant: &Tenant, assertion: &str, now: f64) -> Result<(), u32> {
    let token = parse(assertion).ok_or(50_027_u32)?;
    let Claims { exp, nbf, .. } = token.claims;
    if exp + SKEW < now || nbf.is_some_and(|nbf| nbf - SKEW > now) {
        return Err(700_024);
    }
    let own = token.claims.iss.parse::<Uuid>() == Ok(app.id);
    if own { by_certificate(app, tenant, &token) } else { by_outside_issuer(app, &token) }
}

fn parse(assertion: &str) -> Option<Token<'_>> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    Some(Token {
        header: serde_json::from_slice(&decode(header)?).ok()?,
        claims: serde_json::from_slice(&decode(claims)?).ok()?,
        signed,
        signature: decode(signature)?,
    })
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()
}

fn by_certificate(app: &App, tenant: &Tenant, token: &Token<'_>) -> Result<(), u32> {
    if token.claims.sub.parse::<Uuid>() != Ok(app.id) {
        return Err(700_021);
    }
    if !is_token_endpoint(&token.claims.aud, tenant) {
        return Err(700_023);
    }
    let algorithm: &dyn SignatureVerificationAlgorithm = match token.header.alg.as_str() {
        "RS256" => webpki::ring::RSA_PKCS1_2048_8192_SHA256,
        "PS256" => webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        _ => return Err(700_027),
    };
    let certificates =
        app.certificates.iter().filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok());
    let registered = certificates.into_iter().find(|der| is_named(der, &token.header)).ok_or(700_027_u32)?;
    let certificate = webpki::EndEntityCert::try_from(&registered).map_err(|_| 700_027_u32)?;
    certificate.verify_signature(algorithm, token.signed.as_bytes(), &token.signature).map_err(|_| 700_027)
}

/// Whether the header's thumbprint is that of the certificate.
fn is_named(der: &CertificateDer<'_>, header: &Header) -> bool {
    let same = |name: &Option<String>, algorithm| {
        name.as_ref().is_some_and(|name| decode(name).as_deref() == Some(digest(algorithm, der).as_ref()))
    };
    same(&header.x5t_s256, &SHA256) || same(&header.x5t, &SHA1_FOR_LEGACY_USE_ONLY)
}

/// The audience is the token endpoint or the issuer of the tenant, under whatever host the client knows it.
fn is_token_endpoint(audience: &str, tenant: &Tenant) -> bool {
    let Ok(url) = url::Url::parse(audience) else { return false };
    let (name, rest) = url.path().trim_start_matches('/').split_once('/').unwrap_or_default();
    tenant.is_named(name) && matches!(rest, "oauth2/v2.0/token" | "v2.0")
}

fn by_outside_issuer(app: &App, token: &Token<'_>) -> Result<(), u32> {
    let of_issuer: Vec<_> = app.federated.iter().filter(|one| one.issuer == token.claims.iss).collect();
    let of_subject: Vec<_> = of_issuer.iter().filter(|one| one.subject == token.claims.sub).collect();
    let credential = match (of_issuer.is_empty(), of_subject.is_empty()) {
        (true, _) => return Err(if app.federated.is_empty() { 70_021 } else { 700_211 }),
        (false, true) => return Err(700_213),
        (false, false) => {
            of_subject.iter().find(|one| one.audience == token.claims.aud).ok_or(700_212_u32)?
        }
    };
    if is_signed(credential, token) { Ok(()) } else { Err(50_013) }
}

fn is_signed(credential: &FederatedCredential, token: &Token<'_>) -> bool {
    let keys = credential.keys.get("keys").and_then(Value::as_array).into_iter().flatten();
    let named =
        |key: &&Value| token.header.kid.is_none() || key["kid"].as_str() == token.header.kid.as_deref();
    keys.filter(named).any(|key| verifies(key, token).is_some())
}

/// Some if the key verifies the signature.
fn verifies(key: &Value, token: &Token<'_>) -> Option<()> {
    let part = |name: &str| decode(key[name].as_str()?);
    let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
    match (key["kty"].as_str()?, token.header.alg.as_str()) {
        ("RSA", "RS256") => {
            let public = RsaPublicKeyComponents { n: part("n")?, e: part("e")? };
            public.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).ok()
        }
        ("EC", "ES256") => {
            let point = [&[4_u8][..], &part("x")?, &part("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).ok()
        }
        _ => None,
    }
}
