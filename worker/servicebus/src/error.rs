//! Failures of Service Bus and of the connection to it.

use std::{ops::Deref, sync::Arc, time::Duration};

use shared::{class::Class, shown::brief};

/// A cause from another crate. Shared, because callers who waited for one attempt share its failure. It is no error itself, so
/// that whoever goes through the causes comes to what is in it.
#[derive(Clone, Debug)]
pub struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl Cause {
    /// From words, or from an error of any kind.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(Arc::from(cause.into()))
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Cause {
    fn from(cause: E) -> Self {
        Self(Arc::new(cause))
    }
}

impl Deref for Cause {
    type Target = dyn std::error::Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// What a refusal is about, for whoever tells a person what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The token is not accepted.
    Token,
    /// There is no such queue, topic or subscription.
    NotFound,
    /// The identity has no right to do this.
    Denied,
    /// The queue is there and switched off.
    Disabled,
    /// Something else; the condition tells.
    Other,
}

/// A failure of Service Bus or of the connection to it. Callers decide by [`Error::class`] alone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// This client was closed.
    #[error("the connection to service bus is closed")]
    Closed,
    /// The host could not be reached, or the connection broke.
    #[error("{doing}: the connection to {host} failed")]
    Connection {
        /// What was being done.
        doing: &'static str,
        /// Host and port.
        host: Box<str>,
        /// What the lower layer said.
        #[source]
        cause: Cause,
    },
    /// The certificate of the host is not trusted, or TLS failed otherwise.
    #[error("the tls handshake with {host} failed; check the host name and the trusted certificates")]
    Tls {
        /// Host and port.
        host: Box<str>,
        /// What the TLS library said.
        #[source]
        cause: Cause,
    },
    /// The settings cannot work, whatever the service says.
    #[error("{what}")]
    Settings {
        /// What is wrong and what to do.
        what: Box<str>,
        /// What a lower layer said, if it did.
        #[source]
        cause: Option<Cause>,
    },
    /// No token could be had for the entity.
    #[error("no token could be had for {audience}")]
    Token {
        /// What the token was for.
        audience: Box<str>,
        /// Whether waiting can help.
        class: Class,
        /// What the source of tokens said.
        #[source]
        cause: Cause,
    },
    /// The service refused and said why.
    #[error("{doing}: service bus answered {}: {}", brief(.condition, 100), brief(.description, 1_000))]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The condition, as the service names it.
        condition: Box<str>,
        /// The service's words.
        description: Box<str>,
        /// What it is about.
        kind: RefusalKind,
        /// What the condition means for us.
        class: Class,
    },
    /// No answer in time; whether the service did what it was asked is not known.
    #[error("{doing}: no answer within {after:?}")]
    Timeout {
        /// What was being done.
        doing: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The service answered something that the protocol does not allow.
    #[error("{doing}: the answer of service bus makes no sense: {what}")]
    Protocol {
        /// What was being done.
        doing: &'static str,
        /// What was wrong with the answer.
        what: Box<str>,
    },
}

impl Error {
    /// What the failure means for what we do next.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Refused { class, .. } | Self::Token { class, .. } => *class,
            Self::Closed | Self::Connection { .. } | Self::Timeout { .. } | Self::Protocol { .. } => {
                Class::Transient
            }
            Self::Tls { .. } | Self::Settings { .. } => Class::Installation,
        }
    }
}

/// Why a lock was not extended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RenewError {
    /// The lock had lapsed, or the message was settled. Its work should stop; it will come again.
    #[error("the lock of the message was lost")]
    LockLost,
    /// The request failed; the lock still holds until the time known before.
    #[error("the lock could not be renewed")]
    Failed(#[source] Arc<Error>),
}

/// Why a session could not be accepted, or what was asked about one that is held was not done.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The link ended, or the service says that somebody else may hold the session. Whoever held it holds it no more,
    /// and has to accept it again.
    #[error("the session is not held any more")]
    Lost,
    /// There was no answer, or none that says whether the session is held: a broken connection, a busy service, nonsense.
    /// What was asked for may have been done, or may be done later still.
    #[error("service bus did not answer")]
    Unanswered(#[source] Error),
    /// The installation is at fault; a person has to act.
    #[error("{what}")]
    Refused {
        /// What is wrong and what to do.
        what: Box<str>,
        /// What the service or a lower layer said.
        #[source]
        cause: Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_class() {
        let host: Box<str> = "ns:5671".into();
        let cause = || -> Cause { Cause::new("broken") };
        let installation = Class::Installation;
        let throttled = Class::Throttled { retry_after: Some(Duration::from_secs(4)) };
        for (error, class) in [
            (Error::Closed, Class::Transient),
            (Error::Connection { doing: "opening", host: host.clone(), cause: cause() }, Class::Transient),
            (Error::Tls { host, cause: cause() }, installation),
            (Error::Settings { what: "no key".into(), cause: None }, installation),
            (Error::Token { audience: "q".into(), class: installation, cause: cause() }, installation),
            (
                Error::Refused {
                    doing: "sending",
                    condition: "busy".into(),
                    description: "wait".into(),
                    kind: RefusalKind::Other,
                    class: throttled,
                },
                throttled,
            ),
            (Error::Timeout { doing: "sending", after: Duration::from_secs(1) }, Class::Transient),
            (Error::Protocol { doing: "sending", what: "no status".into() }, Class::Transient),
        ] {
            assert_eq!(error.class(), class, "{error}");
        }
    }

    #[test]
    fn a_shared_cause_is_found_by_what_it_is() {
        let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into();
        let error = Error::Connection { doing: "opening", host: "ns:5671".into(), cause };
        let source =
            std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
        assert_eq!(source.map(std::io::Error::kind), Some(std::io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn the_cause_is_not_printed_twice() {
        let error = Error::Connection {
            doing: "opening",
            host: "ns:5671".into(),
            cause: Cause::new("connection refused"),
        };
        assert_eq!(error.to_string(), "opening: the connection to ns:5671 failed");
        assert_eq!(
            shared::reason::chain(&error),
            "opening: the connection to ns:5671 failed: connection refused"
        );
    }
}
