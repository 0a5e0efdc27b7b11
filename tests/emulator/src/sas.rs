//! Shared access signatures: who may do what until when, proved with a key.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use thiserror::Error;

use crate::broker::{Time, entity_path};

/// What a rule or token allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Attach as a sender.
    pub send: bool,
    /// Attach as a receiver, look at messages, renew locks.
    pub listen: bool,
    /// Use the HTTP interface.
    pub manage: bool,
}

impl Claims {
    /// Everything.
    pub const ALL: Self = Self { send: true, listen: true, manage: true };
    /// Sending only.
    pub const SEND: Self = Self { send: true, listen: false, manage: false };
    /// Receiving only.
    pub const LISTEN: Self = Self { send: false, listen: true, manage: false };
}

/// A shared access policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its key, used as text and never base64-decoded.
    pub key: String,
    /// What it allows.
    pub claims: Claims,
    /// The entity it is for; the whole namespace if absent.
    pub entity: Option<String>,
}

impl Default for Rule {
    /// The rule that the official emulator has: its name and its literal key.
    fn default() -> Self {
        Self {
            name: "RootManageSharedAccessKey".to_owned(),
            key: "SAS_KEY_VALUE".to_owned(),
            claims: Claims::ALL,
            entity: None,
        }
    }
}

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A part is missing or unreadable.
    #[error("MalformedToken: the shared access signature cannot be read.")]
    Malformed,
    /// No rule has this name.
    #[error("InvalidSignature: the key name is unknown.")]
    UnknownRule,
    /// The signature was made with another key or for something else.
    #[error("InvalidSignature: The token has an invalid signature.")]
    Signature,
    /// It is too late.
    #[error("ExpiredToken: The token is expired.")]
    Expired,
    /// The token, or its rule, is for another entity.
    #[error("InvalidAudience: the token does not cover the requested resource.")]
    Audience,
}

/// What a good signature allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Path of the resource that it is for; empty for the whole namespace.
    pub path: String,
    /// What it allows.
    pub claims: Claims,
    /// Until when.
    pub expires: Time,
}

const PREFIX: &str = "SharedAccessSignature ";

/// Whether a token is a shared access signature, going by its text: its announced type cannot be trusted.
#[must_use]
pub fn is_sas(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// Makes a token for `uri` that is good until `expires`.
#[must_use]
pub fn sign(uri: &str, rule: &Rule, expires: Time) -> String {
    let resource = utf8_percent_encode(uri, NON_ALPHANUMERIC).to_string();
    let expiry = (expires.millis() / 1_000).to_string();
    let signature = STANDARD.encode(hmac(&rule.key, &resource, &expiry).finalize().into_bytes());
    let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
    format!("{PREFIX}sr={resource}&sig={signature}&se={expiry}&skn={}", rule.name)
}

fn hmac(key: &str, resource: &str, expiry: &str) -> Hmac<Sha256> {
    // HMAC takes keys of any length, so there is nothing that could fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { unreachable!() };
    mac.update(format!("{resource}\n{expiry}").as_bytes());
    mac
}

/// Checks a token against the rules.
pub fn verify(token: &str, rules: &[Rule], now: Time) -> Result<Verified, Refusal> {
    let parts = token.strip_prefix(PREFIX).ok_or(Refusal::Malformed)?;
    let part = |name: &str| {
        let found = parts.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
        found.map(|(_, value)| value).ok_or(Refusal::Malformed)
    };
    let (resource, signature, expiry) = (part("sr")?, part("sig")?, part("se")?);
    let name = percent_decode_str(part("skn")?).decode_utf8_lossy();
    let rule = rules.iter().find(|rule| rule.name == name).ok_or(Refusal::UnknownRule)?;
    let signature = percent_decode_str(signature).decode_utf8_lossy();
    let signature = STANDARD.decode(signature.as_bytes()).map_err(|_| Refusal::Malformed)?;
    // Encoders differ, so the text is signed exactly as it was received.
    hmac(&rule.key, resource, expiry).verify_slice(&signature).map_err(|_| Refusal::Signature)?;
    let seconds: i64 = expiry.parse().map_err(|_| Refusal::Malformed)?;
    let expires = Time::from_millis(seconds.saturating_mul(1_000));
    if expires <= now {
        return Err(Refusal::Expired);
    }
    let path = entity_path(&percent_decode_str(resource).decode_utf8_lossy());
    if rule.entity.as_deref().is_some_and(|entity| !covers(&entity_path(entity), &path)) {
        return Err(Refusal::Audience);
    }
    Ok(Verified { path, claims: rule.claims, expires })
}

/// Whether rights on `granted` include `wanted`: the same path, or one below it.
#[must_use]
pub fn covers(granted: &str, wanted: &str) -> bool {
    match wanted.strip_prefix(granted) {
        Some(rest) => granted.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_700_000_000_000);
    const LATER: Time = Time::from_millis(1_700_000_100_000);

    fn check(token: &str, expected: Result<&str, Refusal>) {
        let rules =
            [Rule::default(), Rule { name: "one".into(), entity: Some("q".into()), ..Rule::default() }];
        let verified = verify(token, &rules, NOW).map(|verified| verified.path);
        assert_eq!(verified, expected.map(str::to_owned), "{token}");
    }

    #[test]
    fn signatures_are_checked_against_key_time_and_scope() {
        let good = sign("sb://host:5672/Queue", &Rule::default(), LATER);
        let one = |entity: &str| sign(entity, &Rule { name: "one".into(), ..Rule::default() }, LATER);
        check(&good, Ok("queue"));
        check(&good.replace("Queue", "Other"), Err(Refusal::Signature));
        check(
            &sign("sb://host/q", &Rule { key: "k".into(), ..Rule::default() }, LATER),
            Err(Refusal::Signature),
        );
        check(&sign("sb://host/q", &Rule::default(), NOW), Err(Refusal::Expired));
        check(&good.replace("skn=", "skn=x"), Err(Refusal::UnknownRule));
        check("SharedAccessSignature sr=a", Err(Refusal::Malformed));
        check(&one("amqps://host/q/$management"), Ok("q/$management"));
        check(&one("amqps://host/queue"), Err(Refusal::Audience));
    }

    #[test]
    fn parameters_may_come_in_any_order_and_encoding() {
        // Written with lower-case escapes, as some clients do, and signed in that very form.
        let (resource, expiry) = ("sb%3a%2f%2fhost%2fq", "1700000100");
        let mac = hmac("SAS_KEY_VALUE", resource, expiry).finalize().into_bytes();
        let signature = STANDARD.encode(mac).replace('+', "%2b").replace('/', "%2f").replace('=', "%3d");
        let token = format!(
            "SharedAccessSignature se={expiry}&skn=RootManageSharedAccessKey&sig={signature}&sr={resource}"
        );
        check(&token, Ok("q"));
    }

    #[test]
    fn rights_reach_downwards_only() {
        for (granted, wanted, expected) in [
            ("", "q", true),
            ("q", "q", true),
            ("q", "q/$management", true),
            ("q", "queue", false),
            ("q/$deadletterqueue", "q", false),
        ] {
            assert_eq!(covers(granted, wanted), expected, "{granted} over {wanted}");
        }
    }
}
