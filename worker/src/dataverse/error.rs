//! Failures of Dataverse and of the way to it, each with its remedy.

use std::borrow::Cow;

use shared::{class::Class, reason::chain};

use super::{Kind, refusal::DataverseRefusal};
use crate::identity;

/// A call to Dataverse failed. Its text says what happened; [`Error::explained`] adds what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Dataverse refused.
    #[error("dataverse answered {0}")]
    Refused(DataverseRefusal),
    /// Something on the way answered in Dataverse's place.
    #[error("{host} answered {status}{}, which is not dataverse's answer", of_type(content_type.as_deref()))]
    NotDataverse {
        /// Who was asked.
        host: Box<str>,
        /// HTTP status.
        status: u16,
        /// Type of the body.
        content_type: Option<Box<str>>,
    },
    /// It was not reached, or the connection broke.
    #[error("dataverse could not be reached")]
    Unreachable {
        /// Whether the request may have arrived.
        sent: bool,
        /// Why. Without the address, which may name rows.
        #[source]
        cause: reqwest::Error,
    },
    /// There is no token.
    #[error("there is no token for dataverse")]
    Token(#[source] identity::Error),
    /// The answer cannot be understood or followed.
    #[error("the answer of dataverse cannot be used: {0}")]
    Senseless(Cow<'static, str>),
    /// There are more rows than the caller is prepared for.
    #[error("dataverse has more than {most} rows of what was asked for")]
    TooMany {
        /// As many were allowed.
        most: usize,
    },
    /// The request may or may not have been carried out, and to repeat it would not be safe.
    #[error("whether it was done is not known")]
    Undecided(#[source] Box<Error>),
}

impl Error {
    /// What was answered, if Dataverse refused.
    #[must_use]
    pub(crate) fn refusal(&self) -> Option<&DataverseRefusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Undecided(inner) => inner.refusal(),
            _ => None,
        }
    }

    /// What a refusal is about; `None` if it is none.
    #[must_use]
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.refusal().map(DataverseRefusal::kind)
    }

    /// Whether waiting helps, or a person has to.
    #[must_use]
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Refused(refusal) => refusal.class(),
            Self::NotDataverse { .. } => Class::Installation,
            Self::Unreachable { .. } => Class::Transient,
            Self::Token(error) => error.class(),
            Self::Senseless(_) | Self::TooMany { .. } | Self::Undecided(_) => Class::Permanent,
        }
    }

    /// What to do about it; empty where the causes say it themselves.
    #[must_use]
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.remedy(),
            Self::NotDataverse { .. } => {
                "see to dataverse.url, and to the proxy, portal, filter or gateway on the way to dataverse"
            }
            Self::Unreachable { .. } => "see to dataverse.url and the way there: DNS, proxy, firewall",
            Self::Token(_) => "for dataverse these keys are dataverse.url and those of [dataverse.identity]",
            Self::Senseless(_) => {
                "see that dataverse.url is the address of the environment itself; else report it as a fault in contactsync"
            }
            Self::TooMany { .. } => "narrow down what is asked for, such as by --since",
            Self::Undecided(_) => "look whether it was done before it is tried again",
        }
    }

    /// What happened, with its causes and what to do.
    #[must_use]
    pub(crate) fn explained(&self) -> String {
        let remedy = self.remedy();
        let end = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
        chain(self) + &end
    }

    /// Whether the request may have been carried out all the same.
    pub(super) fn may_have_happened(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.may_have_happened(),
            Self::Unreachable { sent, .. } => *sent,
            Self::Senseless(_) | Self::Undecided(_) => true,
            Self::NotDataverse { .. } | Self::Token(_) | Self::TooMany { .. } => false,
        }
    }
}

fn of_type(content_type: Option<&str>) -> String {
    content_type.map_or_else(String::new, |kind| format!(" {}", shared::shown::brief(kind, 60)))
}
