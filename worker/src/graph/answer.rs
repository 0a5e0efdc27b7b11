//! What Graph answered, and what that means: the error table of the reference as one exhaustive match.
//!
//! The status comes first, then the code, then the codes of the details. Message texts are unstable and may
//! hold personal data; they are looked at for three known sentences and never kept.

use std::time::Duration;

use shared::reason::DeadLetterReason;

/// A refusal by Graph, reduced to what may be logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `error.code`, if the body had one.
    pub code: Option<Box<str>>,
    /// Property that a detail names.
    pub target: Option<Box<str>>,
    /// Whether a detail, the code or the text says that a value belongs to another object.
    pub conflict: bool,
    /// Whether the text is the one known message of overload that comes as a 400.
    pub overload: bool,
    /// Graph's id of the request, for Microsoft's support.
    pub request_id: Option<Box<str>>,
    /// How long Graph asks to wait.
    pub retry_after: Option<Duration>,
}

/// What a refusal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Try again with backoff.
    Retry,
    /// Try again for a short time only, then take the message out: the user may be too new.
    NotFoundYet,
    /// Try a few times, then take the message out.
    RetryBriefly,
    /// Close the gate for everybody.
    Gate,
    /// A fresh token may help, once; then it is the installation.
    Renew,
    /// The installation is at fault.
    Stop,
    /// The installation is at fault, or this one user: what becomes of others tells (`standing.rs`).
    Denied,
    /// The same, but otherwise it is nobody's fault: something before Graph is in the way and may go again.
    DeniedOutside,
    /// Take the message out.
    DeadLetter(DeadLetterReason),
}

impl Answer {
    /// What this refusal asks for.
    #[must_use]
    pub fn handling(&self) -> Handling {
        self.by_code().unwrap_or_else(|| self.by_status())
    }

    /// Codes that mean the same under whatever status they come: the statuses of some are known only from
    /// reports, and gateways change them.
    fn by_code(&self) -> Option<Handling> {
        match self.code.as_deref()? {
            "Directory_ConcurrencyViolation"
            | "Directory_ReplicaUnavailable"
            | "Directory_BindingRedirection"
            | "Directory_BindingRedirectionInternalServerError" => Some(Handling::Retry),
            "Directory_ObjectNotFound" => Some(Handling::NotFoundYet),
            "Request_MultipleObjectsWithSameKeyValue" => {
                Some(Handling::DeadLetter(DeadLetterReason::IdentityConflict))
            }
            "Authorization_IdentityNotFound"
            | "Authorization_IdentityDisabled"
            | "Request_ThrottledPermanently" => Some(Handling::Stop),
            _ => None,
        }
    }

    fn by_status(&self) -> Handling {
        match self.status {
            400 | 409 if self.conflict => Handling::DeadLetter(DeadLetterReason::IdentityConflict),
            400 if self.overload => Handling::RetryBriefly,
            401 => Handling::Renew,
            403 if self.code.as_deref() == Some("Authorization_RequestDenied") => Handling::Denied,
            // Graph names a code with every denial: this one comes from something before it.
            403 if self.code.is_none() => Handling::DeniedOutside,
            404 => Handling::NotFoundYet,
            409 => Handling::RetryBriefly,
            429 => Handling::Gate,
            503 if self.retry_after.is_some() => Handling::Gate,
            408 | 423 | 424 | 500..=599 => Handling::Retry,
            // What is left of 4xx is permanent; so is anything that is not an error at all (a redirect, a
            // 2xx other than 204 never gets here), since repeating it cannot change it.
            _ => Handling::DeadLetter(DeadLetterReason::GraphRefused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> Answer {
        Answer { status, code: (!code.is_empty()).then(|| code.into()), ..Answer::default() }
    }

    #[track_caller]
    fn check(status: u16, code: &str, expected: Handling) {
        assert_eq!(answer(status, code).handling(), expected, "{status} {code}");
    }

    const REFUSED: Handling = Handling::DeadLetter(DeadLetterReason::GraphRefused);
    const CONFLICT: Handling = Handling::DeadLetter(DeadLetterReason::IdentityConflict);

    #[test]
    fn bad_values_and_faults_of_ours_are_refused_for_good() {
        check(400, "Request_BadRequest", REFUSED);
        check(400, "Request_UnsupportedQuery", REFUSED);
        check(400, "BadRequest", REFUSED);
        check(403, "Directory_QuotaExceeded", REFUSED);
        for status in [405, 412, 413, 415, 418, 422] {
            check(status, "", REFUSED);
        }
        check(422, "Request_UnprocessableEntity", REFUSED);
        check(302, "", REFUSED);
    }

    #[test]
    fn a_value_of_another_object_is_a_conflict_in_all_its_forms() {
        for status in [400, 409] {
            let told = Answer { conflict: true, ..answer(status, "Request_BadRequest") };
            assert_eq!(told.handling(), CONFLICT);
            check(status, "Request_MultipleObjectsWithSameKeyValue", CONFLICT);
        }
    }

    #[test]
    fn tokens_are_renewed_and_missing_permissions_stop_the_worker() {
        check(401, "InvalidAuthenticationToken", Handling::Renew);
        check(401, "Authentication_ExpiredToken", Handling::Renew);
        check(401, "Authentication_MissingOrMalformed", Handling::Renew);
        check(401, "", Handling::Renew);
        for status in [401, 403] {
            check(status, "Authorization_IdentityNotFound", Handling::Stop);
            check(status, "Authorization_IdentityDisabled", Handling::Stop);
        }
        check(403, "Authorization_RequestDenied", Handling::Denied);
        check(403, "", Handling::DeniedOutside);
        check(503, "Request_ThrottledPermanently", Handling::Stop);
    }

    #[test]
    fn a_missing_user_may_be_too_new() {
        check(404, "Request_ResourceNotFound", Handling::NotFoundYet);
        check(400, "Directory_ObjectNotFound", Handling::NotFoundYet);
    }

    #[test]
    fn concurrent_writes_in_the_tenant_pass() {
        check(400, "Directory_ConcurrencyViolation", Handling::Retry);
        check(409, "Directory_ConcurrencyViolation", Handling::Retry);
        check(409, "", Handling::RetryBriefly);
        assert_eq!(Answer { overload: true, ..answer(400, "") }.handling(), Handling::RetryBriefly);
    }

    #[test]
    fn throttling_closes_the_gate() {
        check(429, "TooManyRequests", Handling::Gate);
        check(429, "activityLimitReached", Handling::Gate);
        let asked = Answer { retry_after: Some(Duration::from_secs(1)), ..answer(503, "ServiceUnavailable") };
        assert_eq!(asked.handling(), Handling::Gate);
    }

    #[test]
    fn everything_of_the_service_itself_is_tried_again() {
        check(500, "Service_InternalServerError", Handling::Retry);
        check(502, "", Handling::Retry);
        check(503, "Request_ThrottledTemporarily", Handling::Retry);
        check(504, "UnknownError", Handling::Retry);
        for status in [408, 423, 424, 507, 509, 599] {
            check(status, "", Handling::Retry);
        }
        check(500, "Directory_ReplicaUnavailable", Handling::Retry);
    }
}
