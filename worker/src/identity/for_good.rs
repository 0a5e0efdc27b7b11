//! Refusals that only other settings can end, as against those that somebody mends while it is tried again.

use super::{Credential, Error, SecretSource, TokenEndpoint, TokenRefusal};

/// The tenant is not known, or the app in it.
const UNKNOWN: [u32; 2] = [90_002, 700_016];
/// The secret is wrong, or has expired.
const WRONG_SECRET: [u32; 2] = [7_000_215, 7_000_222];

impl Error {
    /// Whether only other settings can help: tenant or app are not known, or the secret that stands in the settings is
    /// not accepted. What stands in a file can be replaced while somebody tries again.
    #[must_use]
    pub fn needs_other_settings(&self, credential: &Credential) -> bool {
        let Self::Refused(TokenRefusal { endpoint: TokenEndpoint::Token, number: Some(number), .. }) = self
        else {
            return false;
        };
        let fixed = matches!(credential, Credential::Secret { secret: SecretSource::Value(_), .. });
        UNKNOWN.contains(number) || fixed && WRONG_SECRET.contains(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::App;

    #[test]
    fn only_what_stands_in_the_settings_cannot_be_mended_while_somebody_tries_again() {
        let app = || App { tenant: "t".into(), client_id: "c".into() };
        let fixed = Credential::Secret { app: app(), secret: SecretSource::Value("s".into()) };
        let in_file = Credential::Secret { app: app(), secret: SecretSource::File("secret".into()) };
        for (number, credential, expected) in [
            (7_000_215, &fixed, true),
            (7_000_222, &fixed, true),
            (7_000_215, &in_file, false),
            (90_002, &in_file, true),
            (700_016, &in_file, true),
            // A policy or a consent is changed elsewhere, and the directory may be busy.
            (53_003, &fixed, false),
            (65_001, &fixed, false),
            (90_033, &fixed, false),
        ] {
            let error =
                Error::Refused(TokenRefusal { status: 400, number: Some(number), ..TokenRefusal::default() });
            assert_eq!(error.needs_other_settings(credential), expected, "{number}");
        }
    }
}
