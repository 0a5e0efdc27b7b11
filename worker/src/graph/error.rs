//! Failures of Graph and of the way to it, each with its remedy.

use std::{borrow::Cow, fmt, time::Duration};

use shared::{
    admission::Withheld,
    class::Class,
    lanes::{About, Failure, Suspicion},
    plan::LinkQuery,
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
};

use super::answer::{GraphRefusal, Handling, ValueHolder};
use crate::{identity, telemetry::labels::PauseCause};

/// A call to Graph failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Graph refused.
    #[error("graph answered {answer}")]
    Refused {
        /// What it said.
        answer: GraphRefusal,
        /// The attribute of the guard, if the write carried it and it may be to blame.
        guard: Option<Property>,
    },
    /// Graph refused to show or to move the address for password reset. The user himself is written.
    #[error("graph answered {0} about the address for password reset")]
    ResetRefused(GraphRefusal),
    /// Something on the way answered in Graph's place.
    #[error("{host} answered {}, which is not graph's answer", answer.kind())]
    NotGraph {
        /// Whom the worker asked.
        host: Box<str>,
        /// What was said.
        answer: GraphRefusal,
    },
    /// Graph was not reached, or the connection broke; whether the write happened is unknown.
    #[error("graph could not be reached")]
    Unreachable(#[source] CallFailure),
    /// A look shows that somebody else has an address that is wanted, so a write would be refused.
    #[error("an address that is wanted belongs to another user of the directory")]
    Taken(ValueHolder),
    /// The write was not started, because this replica is not sure any more that it is the writer.
    #[error("this replica is not the writer any more, so the write was not started")]
    NotWriter,
    /// The user, or his sign-in address, is not for this change to write.
    #[error("{0}")]
    Withheld(Withheld),
    /// There is no token.
    #[error("there is no token for graph")]
    Token(#[source] identity::Error),
}

/// Why no answer came, or not the whole of it. It never holds the address of the call, which names a user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallFailure {
    /// The time for a connection was over.
    #[error("no connection was established in time")]
    NoConnection,
    /// The time for the call was over.
    #[error("no answer within connection.request_timeout")]
    NoAnswer,
    /// There is no connection, or it broke.
    #[error(transparent)]
    Broken(reqwest::Error),
}

impl From<reqwest::Error> for CallFailure {
    fn from(error: reqwest::Error) -> Self {
        match (error.is_timeout(), error.is_connect()) {
            (true, true) => Self::NoConnection,
            (true, false) => Self::NoAnswer,
            (false, _) => Self::Broken(error.without_url()),
        }
    }
}

impl fmt::Display for GraphRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)?;
        for (lead, part) in [(" ", &self.code), (" for ", &self.target), (", request-id ", &self.request_id)]
        {
            if let Some(part) = part {
                write!(f, "{lead}{part}")?;
            }
        }
        Ok(())
    }
}

/// How long something that may pass is worth waiting for before the message is taken out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GracePeriods {
    /// With a user whom Graph does not know yet.
    pub not_found: Duration,
    /// With an overload that Graph reports for one write.
    pub brief: Duration,
    /// With a value that somebody else has.
    pub conflict: Duration,
}

impl Error {
    /// What an answer that is no success means.
    pub(super) fn of(answer: GraphRefusal, host: &str) -> Self {
        if answer.is_graphs && answer.handling() != Handling::NotGraph {
            return Self::Refused { answer, guard: None };
        }
        Self::NotGraph { host: host.into(), answer }
    }

    /// What was answered, if anything was.
    #[must_use]
    pub(crate) fn answer(&self) -> Option<&GraphRefusal> {
        match self {
            Self::Refused { answer, .. } | Self::ResetRefused(answer) | Self::NotGraph { answer, .. } => {
                Some(answer)
            }
            Self::Unreachable(_) | Self::NotWriter | Self::Withheld(_) | Self::Taken(_) | Self::Token(_) => {
                None
            }
        }
    }

    /// The same of a refusal that is about the address for password reset. A denial there is for good: the permission is
    /// one of its own, and for want of it nothing else is to wait.
    pub(super) fn about_reset(self) -> Self {
        match self {
            Self::Refused { answer, .. } => Self::ResetRefused(answer),
            other => other,
        }
    }

    fn handling(&self) -> Option<Handling> {
        let handling = self.answer()?.handling();
        Some(match (self, handling) {
            (Self::ResetRefused(_), Handling::Denied | Handling::DeadLetter(_)) => {
                Handling::DeadLetter(DeadLetterReason::ResetAddressRefused)
            }
            _ => handling,
        })
    }

    /// What kind of failure this is.
    #[must_use]
    pub(crate) fn class(&self) -> Class {
        let (Some(answer), Some(handling)) = (self.answer(), self.handling()) else {
            return match self {
                Self::Token(error) => error.class(),
                Self::Withheld(_) | Self::Taken(_) => Class::Permanent,
                // Nobody but a pipeline with a lease gets it, and that one takes it for what it is.
                Self::NotWriter
                | Self::Unreachable(_)
                | Self::Refused { .. }
                | Self::ResetRefused(_)
                | Self::NotGraph { .. } => Class::Transient,
            };
        };
        match handling {
            Handling::Retry | Handling::NotFoundYet | Handling::RetryBriefly | Handling::Denied => {
                Class::Transient
            }
            Handling::Gate => Class::Throttled { retry_after: answer.retry_after },
            // The client has already tried with a fresh token when this gets out.
            Handling::Renew | Handling::Stop | Handling::NotGraph => Class::Installation,
            Handling::DeadLetter(_) => Class::Permanent,
        }
    }

    /// The failure as the scheduler wants it.
    #[must_use]
    pub(crate) fn failure(&self, patience: GracePeriods) -> Failure {
        Failure {
            class: self.class(),
            dead_letter: self.dead_letter(),
            grace: self.grace(patience),
            suspicion: self.suspicion(),
        }
    }

    /// The same for a question who is meant. It is about no user, so what is refused there is refused for everybody; only
    /// the text of a contact in a question may be to blame itself.
    #[must_use]
    pub(super) fn search_failure(&self, query: &LinkQuery) -> Failure {
        let by_text = matches!(query, LinkQuery::Identity { .. });
        let class = match (self.class(), self.handling()) {
            (Class::Permanent, _) if by_text && self.answer().is_some_and(|answer| answer.status == 400) => {
                Class::Permanent
            }
            (Class::Permanent, _) | (_, Some(Handling::Denied | Handling::NotFoundYet)) => {
                Class::Installation
            }
            (class, _) => class,
        };
        let remedy = match class {
            Class::Installation => "see to link.rules, identity.tenant and the permission User.Read.All",
            Class::Permanent => "correct the link of the contact",
            Class::Transient | Class::Throttled { .. } => "replay the message when graph is well",
        };
        let text = format!("the directory was asked for {query}: {}; {remedy}", shared::reason::chain(self));
        let letter = DeadLetter {
            code: self.answer().and_then(|answer| answer.code.clone()),
            ..DeadLetter::new(DeadLetterReason::GraphRefused, &text)
        };
        Failure { class, dead_letter: letter, grace: None, suspicion: None }
    }

    /// Whose fault it is, if the installation is at fault.
    #[must_use]
    pub(crate) fn pause_cause(&self) -> PauseCause {
        match self {
            Self::Token(_) => PauseCause::Token,
            Self::Refused { .. } | Self::ResetRefused(_) => PauseCause::Permission,
            Self::NotGraph { .. } => PauseCause::Way,
            Self::Unreachable(_) | Self::NotWriter | Self::Withheld(_) | Self::Taken(_) => PauseCause::Other,
        }
    }

    /// Whom else a refusal may be about than this user.
    fn suspicion(&self) -> Option<Suspicion> {
        let about = match self.handling()? {
            // What is refused there says nothing about users.
            Handling::NotFoundYet | Handling::RetryBriefly if matches!(self, Self::ResetRefused(_)) => {
                return None;
            }
            Handling::NotFoundYet => About::User,
            Handling::Denied => About::Denial,
            Handling::NotGraph => About::Way,
            Handling::RetryBriefly | Handling::DeadLetter(DeadLetterReason::GraphRefused) => About::Values,
            Handling::Retry | Handling::Gate | Handling::Renew | Handling::Stop | Handling::DeadLetter(_) => {
                return None;
            }
        };
        Some(Suspicion { kind: self.answer()?.kind(), about })
    }

    fn grace(&self, patience: GracePeriods) -> Option<Duration> {
        match self.handling()? {
            Handling::NotFoundYet => Some(patience.not_found),
            Handling::RetryBriefly => Some(patience.brief),
            Handling::DeadLetter(DeadLetterReason::IdentityConflict) => Some(patience.conflict),
            _ => None,
        }
    }

    /// Whether asking again later would be answered the same: it is about this user or value.
    #[must_use]
    pub(crate) fn is_about_the_user(&self) -> bool {
        matches!(self.handling(), Some(Handling::NotFoundYet | Handling::Denied))
            || self.class() == Class::Permanent
    }

    /// Whether Graph says that there is no such user, who may only be too new.
    #[must_use]
    pub(crate) fn is_unknown_user(&self) -> bool {
        self.handling() == Some(Handling::NotFoundYet)
    }

    /// What to tell of it if it is for good.
    #[must_use]
    pub(crate) fn dead_letter(&self) -> DeadLetter {
        let reason = match (self, self.handling()) {
            (Self::ResetRefused(_), _) => DeadLetterReason::ResetAddressRefused,
            (_, Some(Handling::NotFoundYet)) => DeadLetterReason::UserNotFound,
            (_, Some(Handling::DeadLetter(reason))) => reason,
            (Self::Withheld(why), _) => why.reason(),
            (Self::Taken(_), _) => DeadLetterReason::IdentityConflict,
            _ => DeadLetterReason::GraphRefused,
        };
        let mut text = shared::reason::chain(self);
        let remedy = self.remedy();
        if !remedy.is_empty() {
            text.push_str("; ");
            text.push_str(&remedy);
        }
        let letter = DeadLetter::new(reason, &text);
        let Some(answer) = self.answer() else { return letter };
        let code = answer.code.clone().unwrap_or_else(|| answer.status.to_string().into());
        DeadLetter { code: Some(code), target: answer.target.clone(), ..letter }
    }

    fn remedy(&self) -> Cow<'static, str> {
        if let Self::Refused { guard: Some(attribute), .. } = self {
            return format!(
                "the write carried the attribute of the guard, {attribute}, which cannot be written for every user: it may \
                 not be registered, or be mastered elsewhere (synchronised or by Exchange); choose another \
                 guard.attribute, or correct the contact"
            )
            .into();
        }
        if let Self::Withheld(why) = self {
            return why.remedy().into();
        }
        if let Self::Taken(holder) = self {
            return taken(Some(*holder)).into();
        }
        let text = match self.handling() {
            Some(Handling::DeadLetter(_) | Handling::NotFoundYet | Handling::RetryBriefly)
                if matches!(self, Self::ResetRefused(_)) =>
            {
                "everything else was written; see to the permission UserAuthenticationMethod.ReadWrite.All \
                 (contactsync check --online) and whether the user holds an administrator role, or set \
                 mapping.reset_email = false; then replay the message"
            }
            // The failure itself says what to do, and no message becomes a dead letter for it.
            None if matches!(self, Self::Token(_)) => "",
            None => "replay the message when graph can be reached",
            Some(Handling::NotFoundYet) => {
                "the user was deleted or belongs to another tenant; correct the link of the contact"
            }
            Some(Handling::DeadLetter(DeadLetterReason::IdentityConflict)) => {
                return taken(self.answer().and_then(|answer| answer.holder)).into();
            }
            Some(Handling::Denied) => {
                "the app may not write this user, most likely because it holds an administrator role"
            }
            Some(Handling::NotGraph) => {
                "see to graph.root, and to the proxy, portal, filter or gateway on the way to graph"
            }
            Some(Handling::Renew) => "see to [identity] and to the permissions of the app",
            Some(Handling::Stop) => {
                "see to the app registration: it is disabled, blocked or unknown in the tenant"
            }
            Some(Handling::Retry | Handling::Gate) => "replay the message when graph is well",
            Some(Handling::RetryBriefly | Handling::DeadLetter(_)) => {
                "correct the contact, or report a fault in contactsync"
            }
        };
        text.into()
    }
}

/// What to do about a value that somebody else has, if nobody knows who.
const NOBODY_FOUND: &str = "the value belongs to another user of the directory, perhaps to a deleted one, and it could not be \
                            found out to whom; decide which of the two keeps it, then replay the message";

/// What to do about a value that somebody else has.
fn taken(holder: Option<ValueHolder>) -> String {
    match holder {
        Some(ValueHolder { user, deleted: Some(true) }) => format!(
            "the value belongs to the deleted user {user}, who keeps it for 30 days; delete that user for good, or \
             restore and change him, then replay the message"
        ),
        Some(ValueHolder { user, .. }) => format!(
            "the value belongs to user {user}; decide which of the two keeps it, change the other one, then replay \
             the message"
        ),
        None => NOBODY_FOUND.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use shared::ids::ContactId;

    use super::*;

    fn refused(status: u16, code: &str) -> Error {
        let answer = GraphRefusal {
            status,
            is_graphs: true,
            code: Some(code.into()),
            target: Some("givenName".into()),
            request_id: Some("r-1".into()),
            ..GraphRefusal::default()
        };
        Error::of(answer, "graph.example")
    }

    const PATIENCE: GracePeriods = GracePeriods {
        not_found: Duration::from_mins(1),
        brief: Duration::from_secs(5),
        conflict: Duration::from_secs(5),
    };

    fn about(error: &Error) -> Option<About> {
        error.failure(PATIENCE).suspicion.map(|suspicion| suspicion.about)
    }

    #[test]
    fn a_refusal_says_status_code_property_and_request_and_what_to_do() {
        let failure = refused(400, "Request_BadRequest").failure(PATIENCE);
        assert_eq!(failure.class, Class::Permanent);
        assert_eq!(
            failure.dead_letter.description.as_str(),
            "graph answered 400 Request_BadRequest for givenName, request-id r-1; correct the contact, or \
             report a fault in contactsync"
        );
        let letter = failure.dead_letter;
        assert_eq!(
            (letter.code.as_deref(), letter.target.as_deref()),
            (Some("Request_BadRequest"), Some("givenName"))
        );
    }

    #[test]
    fn a_refusal_tells_whom_else_it_may_be_about() {
        for (status, code, expected) in [
            (400, "Request_BadRequest", Some(About::Values)),
            (404, "Request_ResourceNotFound", Some(About::User)),
            (403, "Authorization_RequestDenied", Some(About::Denial)),
            (403, "AccessDenied", Some(About::Denial)),
            (409, "Request_MultipleObjectsWithSameKeyValue", None),
            (500, "Service_InternalServerError", None),
            (401, "InvalidAuthenticationToken", None),
        ] {
            assert_eq!(about(&refused(status, code)), expected, "{status} {code}");
        }
    }

    #[test]
    fn an_answer_of_somebody_else_names_host_status_and_type_and_applies_nothing() {
        let html =
            GraphRefusal { status: 200, content_type: Some("text/html".into()), ..GraphRefusal::default() };
        let error = Error::of(html, "graph.example");
        assert_eq!((error.class(), about(&error)), (Class::Installation, Some(About::Way)));
        assert_eq!(
            error.dead_letter().description.as_str(),
            "graph.example answered 200 text/html, which is not graph's answer; see to graph.root, and to the proxy, \
             portal, filter or gateway on the way to graph"
        );
        let gateway = Error::of(GraphRefusal { status: 502, ..GraphRefusal::default() }, "graph.example");
        assert_eq!((gateway.class(), about(&gateway)), (Class::Transient, None));
    }

    #[test]
    fn a_refusal_with_the_guard_in_it_names_the_guard() {
        let Error::Refused { answer, .. } = refused(400, "Request_BadRequest") else { panic!("refused") };
        let guard = Property::named("extensionAttribute15");
        let text = Error::Refused { answer, guard }.dead_letter().description.as_str().to_owned();
        assert!(text.contains("the attribute of the guard, extensionAttribute15"), "{text}");
    }

    #[test]
    fn a_question_that_is_refused_is_the_installations_fault_unless_the_contacts_text_is_in_it() {
        let contact = ContactId(uuid::Uuid::max());
        let attribute = LinkQuery::Attribute { attribute: "extensionAttribute1".into(), contact };
        let identity = LinkQuery::Identity { issuer: "i".into(), id: "ada".into() };
        for (status, code, by_attribute, by_identity) in [
            (400, "Request_UnsupportedQuery", Class::Installation, Class::Permanent),
            (403, "Authorization_RequestDenied", Class::Installation, Class::Installation),
            (404, "Request_ResourceNotFound", Class::Installation, Class::Installation),
            (422, "Request_UnprocessableEntity", Class::Installation, Class::Installation),
            (500, "Service_InternalServerError", Class::Transient, Class::Transient),
            (
                429,
                "TooManyRequests",
                Class::Throttled { retry_after: None },
                Class::Throttled { retry_after: None },
            ),
        ] {
            let error = refused(status, code);
            for (query, expected) in [(&attribute, by_attribute), (&identity, by_identity)] {
                let failure = error.search_failure(query);
                assert_eq!(failure.class, expected, "{status} {code}");
                assert!(!failure.dead_letter.description.as_str().contains("ada"));
            }
        }
    }

    #[test]
    fn a_missing_user_is_waited_for_as_long_as_the_settings_say() {
        let failure = refused(404, "Request_ResourceNotFound").failure(PATIENCE);
        assert_eq!((failure.class, failure.grace), (Class::Transient, Some(Duration::from_mins(1))));
        assert_eq!(failure.dead_letter.reason, DeadLetterReason::UserNotFound);
    }
}
