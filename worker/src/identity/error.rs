//! Why there is no token, and whether waiting helps.

use std::{fmt, sync::Arc, time::Duration};

use jiff::SignedDuration;
use servicebus::times;
use shared::class::Class;

/// A cause from another crate. Shared, because callers who waited for one request share its failure.
pub(super) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// No token could be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint refused.
    #[error("{endpoint} answered {0}", endpoint = .0.endpoint)]
    Refused(TokenRefusal),
    /// It was not reached.
    #[error("{endpoint} could not be reached")]
    Unreachable {
        /// Which one.
        endpoint: TokenEndpoint,
        /// Why.
        #[source]
        cause: Arc<reqwest::Error>,
    },
    /// Its answer made no sense.
    #[error("the answer of {endpoint} is no token")]
    Senseless {
        /// Which one.
        endpoint: TokenEndpoint,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// The settings, or a file that they name, cannot work.
    #[error("{what}")]
    Settings {
        /// What is wrong and what to do.
        what: Box<str>,
        /// What the lower layer said.
        #[source]
        cause: Option<Cause>,
    },
}

/// Who was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenEndpoint {
    /// The token endpoint of the tenant.
    #[default]
    Token,
    /// The one that this machine has for managed identities.
    ManagedIdentity,
}

impl fmt::Display for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "the token endpoint",
            Self::ManagedIdentity => "the endpoint of managed identities",
        })
    }
}

/// A refusal, reduced to what may be logged: the description names trace ids only, but it is not ours to
/// promise that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRefusal {
    /// Who refused.
    pub endpoint: TokenEndpoint,
    /// HTTP status.
    pub status: u16,
    /// The standard's error value, such as `invalid_client`.
    pub error: Option<Box<str>>,
    /// Number of Microsoft's diagnosis (AADSTS…).
    pub number: Option<u32>,
    /// How long the endpoint asks to wait.
    pub retry_after: Option<Duration>,
    /// By how much the clock of this machine is ahead of the endpoint's, as far as is known.
    pub ahead: Option<SignedDuration>,
}

impl Error {
    /// Settings or files that cannot work.
    pub(super) fn settings(
        what: impl Into<Box<str>>,
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Settings { what: what.into(), cause: cause.map(Arc::from) }
    }

    /// What happened, and what to do about it apart from that; empty where the first says it.
    #[must_use]
    pub fn advice(&self) -> (String, &'static str) {
        match self {
            Self::Refused(refusal) => {
                let (what, remedy) = refusal.advice();
                (format!("{} answered {what}", refusal.endpoint), remedy)
            }
            Self::Unreachable { endpoint: TokenEndpoint::Token, .. } => (
                shared::reason::chain(self),
                "see that this machine reaches the login host, by HTTPS_PROXY if there is a proxy",
            ),
            _ => (shared::reason::chain(self), ""),
        }
    }

    /// Whether waiting helps, or a person has to.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { endpoint: TokenEndpoint::Token, .. } | Self::Senseless { .. } => {
                Class::Transient
            }
            // It is on this machine. If it does not answer, then this machine has no identity, most likely.
            Self::Unreachable { endpoint: TokenEndpoint::ManagedIdentity, .. } | Self::Settings { .. } => {
                Class::Installation
            }
            Self::Refused(refusal) => refusal.class(),
        }
    }
}

/// What an operator should do about a number of Microsoft's diagnosis.
const REMEDIES: [(&[u32], &str); 19] = [
    (&[7_000_215], "the client secret is wrong; paste the secret's value, not its id"),
    (&[7_000_222], "the client secret has expired; make a new one and set identity.client_secret"),
    (&[7_000_216, 7_000_218], "no credential was sent; set identity.kind and what it needs"),
    (&[700_016], "the app is unknown in this tenant; check identity.client_id and identity.tenant"),
    (&[7_000_112], "the app registration is disabled; enable it"),
    (&[700_025], "the app is a public client; register one that may hold a credential"),
    (
        &[700_027, 700_030],
        "the certificate is not registered with the app or has expired, or a clock is wrong",
    ),
    (
        &[700_024],
        "the assertion is not valid now; set the clock of this machine, or see that the token file is renewed",
    ),
    (
        &[50_013, 500_133],
        "the assertion is not valid, or not now; set the clock of this machine, and see that the token file or the \
         certificate is the right one",
    ),
    (
        &[70_021, 700_211, 700_212, 700_213],
        "no federated credential of the app matches; compare issuer, subject and audience, and wait some \
         minutes after it was made",
    ),
    (&[90_002], "the tenant does not exist in this cloud; check identity.tenant and cloud"),
    (&[90_038, 900_382, 900_432], "tenant and login host belong to different national clouds; set cloud"),
    (&[50_001, 500_011, 70_011], "the resource is none of this tenant's cloud; check cloud and graph.root"),
    (&[65_001, 650_056], "an administrator must consent to the permissions of the app"),
    (&[53_003], "a Conditional Access policy blocks the app; exclude it"),
    (&[900_144], "contactsync left out a field of the request; report it"),
    (&[50_128, 50_059, 90_019], "the request named no tenant; set identity.tenant to its id, not to common"),
    (&[50_034], "the account does not exist in this tenant; check identity.tenant"),
    (&[50_196], "tokens are asked for too often; contactsync waits, report it if this lasts"),
];

/// Numbers that say that a signed assertion is not valid now, or not valid at all. With a clock that is minutes off
/// every assertion is refused like that, so then the clock is the likelier cause.
const DATED: [u32; 5] = [700_024, 700_027, 700_030, 50_013, 500_133];

/// Numbers that pass by themselves: time-outs, a directory that is away, a tenant that is throttled, a client
/// that asked too often.
const BUSY: [u32; 9] = [50_033, 50_196, 90_006, 90_012, 90_024, 90_033, 90_055, 90_090, 90_091];

impl TokenRefusal {
    /// By status and `error`, as Microsoft asks; the numbers only where they say more than these.
    fn class(&self) -> Class {
        if self.status == 429 {
            return Class::Throttled { retry_after: self.retry_after };
        }
        let busy = self.error.as_deref() == Some("temporarily_unavailable")
            || self.number.is_some_and(|number| BUSY.contains(&number));
        // While the metadata service is updated it says 404 or 410.
        let updating = self.endpoint == TokenEndpoint::ManagedIdentity && matches!(self.status, 404 | 410);
        if busy || updating || self.status == 408 || self.status >= 500 {
            Class::Transient
        } else {
            Class::Installation
        }
    }

    /// What an operator should do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        if self.class() != Class::Installation && self.number != Some(50_196) {
            return "it is busy, which passes";
        }
        if self.endpoint == TokenEndpoint::ManagedIdentity {
            return "assign the identity to this machine, and check identity.managed_identity";
        }
        self.known().unwrap_or("check identity.tenant, identity.client_id and the credential")
    }

    /// The remedy that belongs to the number.
    fn known(&self) -> Option<&'static str> {
        let number = self.number?;
        REMEDIES.iter().find(|(numbers, _)| numbers.contains(&number)).map(|(_, remedy)| *remedy)
    }

    /// What to say of the clock of this machine, if it is the likelier cause; or one of those there may be.
    fn clock(&self) -> Option<String> {
        let possible = match self.number {
            Some(number) if DATED.contains(&number) => true,
            _ => self.class() == Class::Installation && self.known().is_none(),
        };
        times::blame(self.ahead.filter(|_| possible), "the token endpoint")
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bare())?;
        let dated = self.number.is_some_and(|number| DATED.contains(&number));
        match self.clock() {
            Some(clock) if dated => write!(f, "; {clock}"),
            Some(clock) => write!(f, "; {}; {clock}", self.remedy()),
            None => write!(f, "; {}", self.remedy()),
        }
    }
}

impl TokenRefusal {
    /// Status, error and number.
    fn bare(&self) -> String {
        let error = self.error.as_ref().map_or_else(String::new, |error| format!(" {error}"));
        let number = self.number.map_or_else(String::new, |number| format!(" (AADSTS{number})"));
        format!("{}{error}{number}", self.status)
    }

    /// What was answered, and what to do. Where the clock is the cause, that is said with what was answered.
    fn advice(&self) -> (String, &'static str) {
        let dated = self.number.is_some_and(|number| DATED.contains(&number));
        let clock = self.clock();
        let remedy = if dated && clock.is_some() { "" } else { self.remedy() };
        (clock.map_or_else(|| self.bare(), |clock| format!("{}; {clock}", self.bare())), remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, error: &str, number: Option<u32>) -> TokenRefusal {
        TokenRefusal { status, error: Some(error.into()), number, ..TokenRefusal::default() }
    }

    #[track_caller]
    fn check(refusal: TokenRefusal, expected: Class) {
        let text = refusal.to_string();
        assert_eq!(Error::Refused(refusal).class(), expected, "{text}");
    }

    #[test]
    fn wrong_credentials_are_the_installations_fault_and_each_number_has_its_remedy() {
        let general = refusal(400, "invalid_request", None).remedy();
        for number in REMEDIES.iter().flat_map(|(numbers, _)| *numbers) {
            if BUSY.contains(number) {
                continue;
            }
            check(refusal(400, "invalid_request", Some(*number)), Class::Installation);
            check(refusal(401, "invalid_client", Some(*number)), Class::Installation);
            assert_ne!(refusal(400, "", Some(*number)).remedy(), general, "{number}");
        }
        check(refusal(401, "invalid_client", Some(123_456)), Class::Installation);
        check(refusal(403, "", None), Class::Installation);
    }

    #[test]
    fn a_busy_directory_and_gateways_pass() {
        for number in BUSY {
            check(refusal(400, "temporarily_unavailable", Some(number)), Class::Transient);
            check(refusal(400, "", Some(number)), Class::Transient);
        }
        check(refusal(400, "temporarily_unavailable", None), Class::Transient);
        for status in [408, 500, 503] {
            check(refusal(status, "", None), Class::Transient);
        }
        let retry_after = Some(Duration::from_secs(9));
        check(TokenRefusal { retry_after, ..refusal(429, "", None) }, Class::Throttled { retry_after });
    }

    #[test]
    fn a_machine_without_the_identity_is_mended_by_a_person_and_an_update_of_its_service_passes() {
        let of_machine =
            |status| TokenRefusal { endpoint: TokenEndpoint::ManagedIdentity, ..refusal(status, "", None) };
        check(of_machine(400), Class::Installation);
        for status in [404, 410, 500] {
            check(of_machine(status), Class::Transient);
        }
        assert_eq!(
            Error::Refused(TokenRefusal { error: None, ..of_machine(400) }).to_string(),
            "the endpoint of managed identities answered 400; assign the identity to this machine, and check \
             identity.managed_identity"
        );
    }

    #[test]
    fn a_refusal_says_number_and_remedy() {
        assert_eq!(
            Error::Refused(refusal(401, "invalid_client", Some(7_000_222))).to_string(),
            "the token endpoint answered 401 invalid_client (AADSTS7000222); the client secret has expired; \
             make a new one and set identity.client_secret"
        );
        assert_eq!(
            Error::Refused(refusal(503, "temporarily_unavailable", None)).to_string(),
            "the token endpoint answered 503 temporarily_unavailable; it is busy, which passes"
        );
    }

    #[test]
    fn a_clock_that_is_far_off_is_named_where_it_is_the_likelier_cause() {
        const BEHIND: &str =
            "the clock of this machine is 2h behind that of the token endpoint; let the system set it by NTP";
        let said = |number, ahead| {
            let ahead = Some(SignedDuration::from_mins(ahead));
            TokenRefusal { ahead, ..refusal(401, "invalid_client", number) }.to_string()
        };
        for number in DATED {
            let text = said(Some(number), -120);
            assert_eq!(text, format!("401 invalid_client (AADSTS{number}); {BEHIND}"));
            assert!(!said(Some(number), 1).contains("1m ahead"), "{number}: a minute is tolerated");
        }
        assert!(said(Some(700_024), 10).contains("is 10m ahead of that of the token endpoint"));
        assert!(!said(Some(7_000_222), -120).contains("clock"), "a secret has no date of ours");
        let unknown = said(Some(123_456), -120);
        assert!(unknown.ends_with(&format!("and the credential; {BEHIND}")), "{unknown}");
    }
}
