//! Failures of Graph and of the way to it, each with its remedy.

use std::{fmt, time::Duration};

use shared::{
    class::Class,
    lanes::Failure,
    reason::{DeadLetter, DeadLetterReason},
};

use super::{
    answer::{Answer, Handling},
    connections::Cause,
    standing::Denial,
};
use crate::{identity, telemetry::labels::PauseCause};

/// A call to Graph failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Graph refused.
    #[error("graph answered {answer}")]
    Refused {
        /// What it said.
        answer: Answer,
        /// Whom it is about, if it is a denial.
        denial: Denial,
    },
    /// Graph was not reached, or the connection broke; whether the write happened is unknown.
    #[error("graph could not be reached")]
    Unreachable(#[source] Cause),
    /// The answer to a read is no user.
    #[error("graph's answer to a read is not a user")]
    Senseless,
    /// The user has several sign-in addresses.
    #[error("the user signs in with several e-mail addresses, and nothing tells which one the contact's is")]
    Ambiguous,
    /// There is no token.
    #[error("there is no token for graph")]
    Token(#[source] identity::Error),
}

impl fmt::Display for Answer {
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
pub struct Patience {
    /// With a user whom Graph does not know yet.
    pub not_found: Duration,
    /// With a conflict or overload that Graph reports for one write.
    pub brief: Duration,
}

impl Error {
    /// What kind of failure this is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable(_) | Self::Senseless => Class::Transient,
            Self::Ambiguous => Class::Permanent,
            Self::Token(error) => error.class(),
            Self::Refused { answer, denial } => match answer.handling() {
                Handling::Denied => match denial {
                    Denial::Everybody => Class::Installation,
                    Denial::ThisUser => Class::Permanent,
                    Denial::Unclear => Class::Transient,
                },
                Handling::DeniedOutside if *denial == Denial::Everybody => Class::Installation,
                Handling::Retry
                | Handling::NotFoundYet
                | Handling::RetryBriefly
                | Handling::DeniedOutside => Class::Transient,
                Handling::Gate => Class::Throttled { retry_after: answer.retry_after },
                // The client has already tried with a fresh token when this gets out.
                Handling::Renew | Handling::Stop => Class::Installation,
                Handling::DeadLetter(_) => Class::Permanent,
            },
        }
    }

    /// The failure as the scheduler wants it.
    #[must_use]
    pub fn failure(&self, patience: Patience) -> Failure {
        Failure { class: self.class(), dead_letter: self.dead_letter(), grace: self.grace(patience) }
    }

    /// Whose fault it is, if the installation is at fault.
    #[must_use]
    pub fn pause_cause(&self) -> PauseCause {
        match self {
            Self::Token(_) => PauseCause::Token,
            Self::Refused { .. } => PauseCause::Permission,
            Self::Unreachable(_) | Self::Senseless | Self::Ambiguous => PauseCause::Other,
        }
    }

    fn grace(&self, patience: Patience) -> Option<Duration> {
        let Self::Refused { answer, .. } = self else { return None };
        match answer.handling() {
            Handling::NotFoundYet => Some(patience.not_found),
            Handling::RetryBriefly => Some(patience.brief),
            _ => None,
        }
    }

    /// Whether asking again later would be answered the same: it is about this user or value.
    #[must_use]
    pub fn is_about_the_user(&self) -> bool {
        let not_found =
            matches!(self, Self::Refused { answer, .. } if answer.handling() == Handling::NotFoundYet);
        not_found || self.class() == Class::Permanent
    }

    /// What to tell of it if it is for good.
    #[must_use]
    pub fn dead_letter(&self) -> DeadLetter {
        let (reason, remedy) = match self {
            Self::Refused { answer, .. } => match answer.handling() {
                Handling::NotFoundYet => (
                    DeadLetterReason::UserNotFound,
                    "the user was deleted or belongs to another tenant; correct the link of the contact",
                ),
                Handling::DeadLetter(DeadLetterReason::IdentityConflict) => (
                    DeadLetterReason::IdentityConflict,
                    "the value belongs to another user of the directory; decide which of the two keeps it",
                ),
                Handling::Denied => (
                    DeadLetterReason::GraphRefused,
                    "the app may not write this user, most likely because it holds an administrator role",
                ),
                Handling::DeniedOutside => (
                    DeadLetterReason::GraphRefused,
                    "the denial is not graph's own; see to the proxy or firewall on the way to graph",
                ),
                _ => {
                    (DeadLetterReason::GraphRefused, "correct the contact, or report a fault in contactsync")
                }
            },
            Self::Ambiguous => (
                DeadLetterReason::SignInAmbiguous,
                "register a pre image with the e-mail column, and correct this user by hand",
            ),
            Self::Unreachable(_) | Self::Senseless | Self::Token(_) => {
                (DeadLetterReason::GraphRefused, "replay the message when Graph can be reached")
            }
        };
        let letter = DeadLetter::new(reason, &format!("{}; {remedy}", shared::reason::chain(self)));
        let Self::Refused { answer, .. } = self else { return letter };
        let code = answer.code.clone().unwrap_or_else(|| answer.status.to_string().into());
        DeadLetter { code: Some(code), target: answer.target.clone(), ..letter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, denial: Denial) -> Error {
        let answer = Answer {
            status,
            code: Some(code.into()),
            target: Some("givenName".into()),
            request_id: Some("r-1".into()),
            ..Answer::default()
        };
        Error::Refused { answer, denial }
    }

    #[test]
    fn a_refusal_says_status_code_property_and_request_and_what_to_do() {
        let patience = Patience { not_found: Duration::from_mins(1), brief: Duration::from_secs(5) };
        let failure = refused(400, "Request_BadRequest", Denial::Unclear).failure(patience);
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
    fn a_denial_is_judged_by_whom_it_is_about() {
        for (denial, class) in [
            (Denial::Everybody, Class::Installation),
            (Denial::Unclear, Class::Transient),
            (Denial::ThisUser, Class::Permanent),
        ] {
            assert_eq!(refused(403, "Authorization_RequestDenied", denial).class(), class);
        }
    }

    #[test]
    fn a_denial_by_a_gateway_is_the_installation_at_first_and_may_pass_later() {
        let refused = |denial| Error::Refused { answer: Answer { status: 403, ..Answer::default() }, denial };
        assert_eq!(refused(Denial::Everybody).class(), Class::Installation);
        assert_eq!(refused(Denial::Unclear).class(), Class::Transient);
    }

    #[test]
    fn a_missing_user_is_waited_for_as_long_as_the_settings_say() {
        let patience = Patience { not_found: Duration::from_mins(1), brief: Duration::from_secs(5) };
        let failure = refused(404, "Request_ResourceNotFound", Denial::Unclear).failure(patience);
        assert_eq!((failure.class, failure.grace), (Class::Transient, Some(Duration::from_mins(1))));
        assert_eq!(failure.dead_letter.reason, DeadLetterReason::UserNotFound);
    }
}
