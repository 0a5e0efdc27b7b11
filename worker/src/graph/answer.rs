//! What Graph answered, and what that means: the error table of the reference.
//!
//! Whether it is Graph's answer at all comes first: Graph names a code in every refusal, and a proxy, a portal or a
//! gateway on the way does not. Then the code decides, then the status, then the codes of the details. Message texts
//! are unstable and may hold personal data; they are looked at for three known sentences and never kept.

use std::time::Duration;

use shared::{ids::UserId, reason::DeadLetterReason};

/// A refusal, reduced to what may be logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphRefusal {
    /// HTTP status.
    pub status: u16,
    /// Whether it is Graph's: its body has an `error.code`.
    pub is_graphs: bool,
    /// `error.code`, if it looks like one.
    pub code: Option<Box<str>>,
    /// Property that a detail names.
    pub target: Option<Box<str>>,
    /// Whether a detail, the code or the text says that a value belongs to another object.
    pub conflict: bool,
    /// Who has the value that is refused.
    pub holder: Option<ValueHolder>,
    /// Whether the text is the one known message of overload that comes as a 400.
    pub overload: bool,
    /// Graph's id of the request, for Microsoft's support.
    pub request_id: Option<Box<str>>,
    /// How long Graph asks to wait.
    pub retry_after: Option<Duration>,
    /// Type of the body, without parameters.
    pub content_type: Option<Box<str>>,
}

/// A user who has a value that only one can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueHolder {
    /// Who it is.
    pub user: UserId,
    /// Whether he was deleted, and can still be restored; `None` if that is not known.
    pub deleted: Option<bool>,
}

impl ValueHolder {
    /// Somebody whom Graph names.
    #[must_use]
    pub const fn named(user: UserId) -> Self {
        Self { user, deleted: None }
    }
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
    /// The installation is at fault, or this one user: what becomes of others tells (`lanes/evidence.rs` of `shared`).
    Denied,
    /// Something before Graph answered in its place: the way to Graph is at fault.
    NotGraph,
    /// Take the message out.
    DeadLetter(DeadLetterReason),
}

/// Codes that mean "not now" under whatever status they come, in the spelling of [`bare`].
///
/// Sources: Microsoft's "Microsoft Graph error responses" (`serviceNotAvailable`, `generalException`,
/// `activityLimitReached`), the error page of the former Azure AD Graph, whose `Directory_` and `Request_` codes Graph
/// still returns for users, and bodies quoted in issues of microsoft-graph-docs (`UnknownError` with an empty text under
/// 403, 429 and 504; 7943, 13148).
const LATER: [&str; 19] = [
    "serviceunavailable",
    "servicenotavailable",
    "serviceinternalservererror",
    "internalservererror",
    "internalerror",
    "generalexception",
    "unknownerror",
    "timeout",
    "timedout",
    "requesttimeout",
    "gatewaytimeout",
    "badgateway",
    "serverbusy",
    "temporarilyunavailable",
    "directoryconcurrencyviolation",
    "directoryreplicaunavailable",
    "directorybindingredirection",
    "directorybindingredirectioninternalservererror",
    "directoryunavailable",
];

/// Codes by which Graph asks everybody to slow down. Sources as above, and "Microsoft Graph throttling guidance".
const THROTTLED: [&str; 6] = [
    "toomanyrequests",
    "requestthrottledtemporarily",
    "activitylimitreached",
    "throttledrequest",
    "requestthrottled",
    "applicationthrottled",
];

/// Codes that say that the app itself may not go on.
const STOPPED: [&str; 3] =
    ["authorizationidentitynotfound", "authorizationidentitydisabled", "requestthrottledpermanently"];

/// A code in the one spelling that is compared: Graph's family writes `Service_Unavailable`, `serviceUnavailable` and
/// `ServiceUnavailable`.
fn bare(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl GraphRefusal {
    /// What this refusal asks for.
    #[must_use]
    pub fn handling(&self) -> Handling {
        if !self.is_graphs {
            return self.by_somebody_else();
        }
        self.code.as_deref().and_then(|code| self.by_code(&bare(code))).unwrap_or_else(|| self.by_status())
    }

    /// An answer of a proxy, a portal or a gateway. Where it says that it will pass, it may.
    fn by_somebody_else(&self) -> Handling {
        match self.status {
            401 => Handling::Renew,
            429 => Handling::Gate,
            503 if self.retry_after.is_some() => Handling::Gate,
            408 | 423 | 424 | 500..=599 => Handling::Retry,
            _ => Handling::NotGraph,
        }
    }

    /// Codes that mean the same under whatever status they come: the statuses of some are known only from
    /// reports, and gateways change them.
    fn by_code(&self, code: &str) -> Option<Handling> {
        if THROTTLED.contains(&code) {
            return Some(Handling::Gate);
        }
        if LATER.contains(&code) {
            let asked = self.status == 429 || (self.status == 503 && self.retry_after.is_some());
            return Some(if asked { Handling::Gate } else { Handling::Retry });
        }
        if STOPPED.contains(&code) {
            return Some(Handling::Stop);
        }
        match code {
            "directoryobjectnotfound" => Some(Handling::NotFoundYet),
            "requestmultipleobjectswithsamekeyvalue" => {
                Some(Handling::DeadLetter(DeadLetterReason::IdentityConflict))
            }
            _ => None,
        }
    }

    fn by_status(&self) -> Handling {
        match self.status {
            400 | 409 if self.conflict => Handling::DeadLetter(DeadLetterReason::IdentityConflict),
            400 if self.overload => Handling::RetryBriefly,
            401 => Handling::Renew,
            // The quota of the directory; Graph means the tenant, and nobody's permission.
            403 if self.code.as_deref().is_some_and(|code| bare(code) == "directoryquotaexceeded") => {
                Handling::DeadLetter(DeadLetterReason::GraphRefused)
            }
            403 => Handling::Denied,
            404 => Handling::NotFoundYet,
            409 => Handling::RetryBriefly,
            429 => Handling::Gate,
            503 if self.retry_after.is_some() => Handling::Gate,
            408 | 423 | 424 | 500..=599 => Handling::Retry,
            // A code under a status that is no refusal: Graph does not do that.
            100..=399 => Handling::NotGraph,
            // What is left of 4xx is permanent.
            _ => Handling::DeadLetter(DeadLetterReason::GraphRefused),
        }
    }

    /// What refusals of several users have in common: the status, and Graph's code or the type of the body.
    #[must_use]
    pub fn kind(&self) -> Box<str> {
        let what = self.code.as_deref().or(self.content_type.as_deref()).unwrap_or_default();
        format!("{} {what}", self.status).trim_end().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> GraphRefusal {
        let code: Option<Box<str>> = (!code.is_empty()).then(|| code.into());
        GraphRefusal { status, is_graphs: code.is_some(), code, ..GraphRefusal::default() }
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
        check(422, "Request_UnprocessableEntity", REFUSED);
        for status in [405, 412, 413, 415, 418, 422] {
            check(status, "Request_BadRequest", REFUSED);
        }
    }

    #[test]
    fn an_answer_without_a_code_is_somebody_elses() {
        for status in
            [200, 201, 202, 203, 206, 301, 302, 304, 307, 400, 403, 404, 405, 407, 409, 410, 412, 413, 415]
        {
            check(status, "", Handling::NotGraph);
        }
        for status in [408, 423, 424, 500, 502, 503, 504, 507, 509, 511, 599] {
            check(status, "", Handling::Retry);
        }
        check(401, "", Handling::Renew);
        check(429, "", Handling::Gate);
        check(200, "Request_BadRequest", Handling::NotGraph);
        check(302, "Request_BadRequest", Handling::NotGraph);
    }

    #[test]
    fn a_code_that_means_later_means_it_under_any_status_and_in_any_spelling() {
        for code in [
            "ServiceUnavailable",
            "serviceNotAvailable",
            "Service_Unavailable",
            "service-unavailable",
            "generalException",
            "InternalServerError",
            "Service_InternalServerError",
            "UnknownError",
            "unknownerror",
            "Timeout",
            "GatewayTimeout",
            "RequestTimeout",
            "Directory_ConcurrencyViolation",
            "Directory_ReplicaUnavailable",
            "Directory_BindingRedirection",
        ] {
            for status in [400, 401, 403, 404, 409, 412, 500, 502, 503, 504] {
                check(status, code, Handling::Retry);
            }
        }
        for code in
            ["TooManyRequests", "Request_ThrottledTemporarily", "activityLimitReached", "too_many_requests"]
        {
            for status in [400, 403, 404, 429, 500, 503] {
                check(status, code, Handling::Gate);
            }
        }
    }

    #[test]
    fn a_value_of_another_object_is_a_conflict_in_all_its_forms() {
        for status in [400, 409] {
            let told = GraphRefusal { conflict: true, ..answer(status, "Request_BadRequest") };
            assert_eq!(told.handling(), CONFLICT);
            check(status, "Request_MultipleObjectsWithSameKeyValue", CONFLICT);
        }
    }

    #[test]
    fn tokens_are_renewed_and_missing_permissions_stop_the_worker() {
        check(401, "InvalidAuthenticationToken", Handling::Renew);
        check(401, "Authentication_ExpiredToken", Handling::Renew);
        check(401, "Authentication_MissingOrMalformed", Handling::Renew);
        for status in [401, 403] {
            check(status, "Authorization_IdentityNotFound", Handling::Stop);
            check(status, "Authorization_IdentityDisabled", Handling::Stop);
        }
        for code in
            ["Authorization_RequestDenied", "AccessDenied", "Forbidden", "accessDenied", "ErrorAccessDenied"]
        {
            check(403, code, Handling::Denied);
        }
        check(503, "Request_ThrottledPermanently", Handling::Stop);
    }

    #[test]
    fn a_missing_user_may_be_too_new() {
        check(404, "Request_ResourceNotFound", Handling::NotFoundYet);
        check(404, "ResourceNotFound", Handling::NotFoundYet);
        check(400, "Directory_ObjectNotFound", Handling::NotFoundYet);
    }

    #[test]
    fn concurrent_writes_in_the_tenant_pass() {
        check(400, "Directory_ConcurrencyViolation", Handling::Retry);
        check(409, "SomethingElse", Handling::RetryBriefly);
        assert_eq!(
            GraphRefusal { overload: true, ..answer(400, "Request_BadRequest") }.handling(),
            Handling::RetryBriefly
        );
    }

    #[test]
    fn throttling_closes_the_gate() {
        check(429, "UnknownError", Handling::Gate);
        check(429, "SomethingNew", Handling::Gate);
        let asked =
            GraphRefusal { retry_after: Some(Duration::from_secs(1)), ..answer(503, "ServiceUnavailable") };
        assert_eq!(asked.handling(), Handling::Gate);
        assert_eq!(GraphRefusal { is_graphs: false, code: None, ..asked }.handling(), Handling::Gate);
    }

    #[test]
    fn everything_of_the_service_itself_is_tried_again() {
        for status in [408, 423, 424, 500, 502, 504, 507, 509, 599] {
            check(status, "SomethingNew", Handling::Retry);
        }
    }

    #[test]
    fn refusals_of_one_kind_have_the_same_name() {
        assert_eq!(&*answer(400, "Request_BadRequest").kind(), "400 Request_BadRequest");
        let html = GraphRefusal { content_type: Some("text/html".into()), ..answer(302, "") };
        assert_eq!((&*html.kind(), &*answer(302, "").kind()), ("302 text/html", "302"));
    }
}
