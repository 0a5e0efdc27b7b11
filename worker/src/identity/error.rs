//! Why there is no token, and whether waiting helps.

use std::{fmt, time::Duration};

use shared::class::Class;

/// No token could be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token endpoint refused.
    #[error("the token endpoint answered {0}")]
    Refused(TokenRefusal),
    /// It was not reached, or its answer made no sense.
    #[error("the token endpoint could not be reached")]
    Unreachable(#[source] azure_core::Error),
    /// The settings cannot work.
    #[error("{what}")]
    Settings {
        /// What is wrong and what to do.
        what: Box<str>,
        /// What the library said.
        #[source]
        cause: Option<azure_core::Error>,
    },
}

/// A refusal by the token endpoint, reduced to what may be logged: the description names trace ids only, but
/// it is not ours to promise that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRefusal {
    /// HTTP status.
    pub status: u16,
    /// The standard's error value, such as `invalid_client`.
    pub error: Option<Box<str>>,
    /// Number of Microsoft's diagnosis (AADSTS…).
    pub number: Option<u32>,
    /// How long the endpoint asks to wait.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// Whether waiting helps, or a person has to.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable(_) => Class::Transient,
            Self::Settings { .. } => Class::Installation,
            Self::Refused(refusal) => refusal.class(),
        }
    }
}

impl TokenRefusal {
    /// By status and `error`, as Microsoft asks; the numbers only where they say more than these.
    fn class(&self) -> Class {
        const BUSY: [u32; 8] = [90_006, 90_012, 90_024, 90_033, 90_055, 90_090, 90_091, 50_033];
        if self.status == 429 {
            return Class::Throttled { retry_after: self.retry_after };
        }
        let busy = self.error.as_deref() == Some("temporarily_unavailable")
            || self.number.is_some_and(|number| BUSY.contains(&number) || number == 50_196);
        if busy || self.status >= 500 { Class::Transient } else { Class::Installation }
    }

    /// What an operator should do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self.number {
            Some(7_000_215) => "the client secret is wrong; paste the secret's value, not its id",
            Some(7_000_222) => "the client secret has expired; make a new one and set identity.client_secret",
            Some(700_016) => {
                "the app is unknown in this tenant; check identity.client_id and identity.tenant"
            }
            Some(7_000_112) => "the app registration is disabled; enable it",
            Some(90_002) => "the tenant does not exist in this cloud; check identity.tenant and the cloud",
            Some(90_038 | 900_382 | 900_432) => "the tenant belongs to another national cloud; set the cloud",
            Some(50_001 | 500_011 | 70_011) => "graph.root is not a resource of this tenant's cloud",
            Some(65_001 | 650_056) => "an administrator must consent to the permissions of the app",
            Some(53_003) => "a Conditional Access policy blocks the app; exclude it",
            Some(700_027 | 700_030) => "the certificate is not registered with the app, or a clock is wrong",
            Some(70_021 | 700_213) => "no federated credential of the app matches; check issuer and subject",
            _ => "check identity.tenant, identity.client_id and the credential",
        }
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)?;
        if let Some(error) = &self.error {
            write!(f, " {error}")?;
        }
        if let Some(number) = self.number {
            write!(f, " (AADSTS{number})")?;
        }
        write!(f, "; {}", self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, error: &str, number: Option<u32>, expected: Class) {
        let refusal = TokenRefusal { status, error: Some(error.into()), number, retry_after: None };
        assert_eq!(Error::Refused(refusal).class(), expected, "{status} {error} {number:?}");
    }

    #[test]
    fn wrong_credentials_are_the_installations_fault() {
        let permanent = [
            7_000_215, 7_000_222, 7_000_216, 7_000_218, 700_016, 7_000_112, 700_025, 700_027, 700_030,
            70_021, 700_213, 90_002, 90_038, 900_382, 900_432, 50_001, 500_011, 70_011, 65_001, 650_056,
            53_003, 900_144, 50_128, 50_059, 90_019, 50_034,
        ];
        for number in permanent {
            check(400, "invalid_request", Some(number), Class::Installation);
            check(401, "invalid_client", Some(number), Class::Installation);
        }
    }

    #[test]
    fn a_busy_directory_and_gateways_pass() {
        for number in [90_006, 90_012, 90_024, 90_033, 90_055, 90_090, 90_091, 50_033, 50_196] {
            check(400, "temporarily_unavailable", Some(number), Class::Transient);
            check(400, "", Some(number), Class::Transient);
        }
        check(400, "temporarily_unavailable", None, Class::Transient);
        check(503, "", None, Class::Transient);
        check(429, "", None, Class::Throttled { retry_after: None });
    }

    #[test]
    fn a_refusal_says_number_and_remedy() {
        let refusal = TokenRefusal {
            status: 401,
            error: Some("invalid_client".into()),
            number: Some(7_000_222),
            retry_after: None,
        };
        assert_eq!(
            Error::Refused(refusal).to_string(),
            "the token endpoint answered 401 invalid_client (AADSTS7000222); the client secret has expired; \
             make a new one and set identity.client_secret"
        );
    }
}
