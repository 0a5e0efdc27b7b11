//! Why the management interface gave no answer that can be used.

use std::time::Duration;

use shared::class::Class;

/// A failure of the management interface. Each kind asks for something else of the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No token could be had.
    #[error("no token for the management interface")]
    Token(#[source] crate::Error),
    /// The identity may not manage.
    #[error(
        "the management interface answered {status}: {detail}; it needs the right Manage, or the role Azure Service \
         Bus Data Owner"
    )]
    Denied {
        /// 401 or 403.
        status: u16,
        /// The service's words.
        detail: Box<str>,
    },
    /// There is no such queue or subscription.
    #[error("there is no {address} in this namespace; check service_bus.queue, or topic and subscription")]
    NotFound {
        /// What was asked for.
        address: Box<str>,
    },
    /// The service asks to be left alone for a while.
    #[error("the management interface is throttled")]
    Throttled {
        /// For how long, if it said so.
        retry_after: Option<Duration>,
    },
    /// No answer came.
    #[error("the management interface at {host} cannot be reached; service_bus.admin_url says where it is")]
    Unreachable {
        /// Host and port.
        host: Box<str>,
        /// What the HTTP client said.
        #[source]
        cause: crate::Cause,
    },
    /// The service failed.
    #[error("the management interface answered {status}: {detail}")]
    Failed {
        /// The status.
        status: u16,
        /// The service's words.
        detail: Box<str>,
    },
    /// The answer is not what the interface gives: something else may be listening there.
    #[error("the answer of the management interface at {host} makes no sense: {what}")]
    Senseless {
        /// Host and port.
        host: Box<str>,
        /// What is wrong with it.
        what: Box<str>,
    },
}

impl Error {
    /// What the failure means for what we do next.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Token(cause) => cause.class(),
            Self::Throttled { retry_after } => Class::Throttled { retry_after: *retry_after },
            Self::Denied { .. } | Self::NotFound { .. } => Class::Installation,
            Self::Unreachable { .. } | Self::Failed { .. } | Self::Senseless { .. } => Class::Transient,
        }
    }
}
