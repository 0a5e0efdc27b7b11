//! The one table from what the service says went wrong to what it means and what mends it.

use std::time::Duration;

use fe2o3_amqp_types::definitions;
use shared::class::Class;

use crate::error::{Error, RefusalKind};

/// How long to wait when the service says that it is busy; the least that Microsoft's clients wait.
const BUSY: Duration = Duration::from_secs(4);

/// What has to be made anew before the next attempt can work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Recovery {
    /// Nothing; the link is fine.
    None,
    /// The link.
    Link,
    /// The connection with everything on it.
    Connection,
    /// Nothing that we could do; a person has to act. Looked at again at long intervals.
    Fatal,
}

macro_rules! conditions {
    ($($name:ident = $text:literal => $class:expr, $recovery:ident;)*) => {
        /// An error condition of the protocol or of Service Bus.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(super) enum Condition {
            $(#[doc = $text] $name,)*
            /// One that this table does not know.
            Other(Box<str>),
        }

        impl Condition {
            /// All rows of the table.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),*];

            pub(super) fn parse(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)*
                    other => Self::Other(other.into()),
                }
            }

            pub(super) fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(text) => text,
                }
            }

            /// What the condition means for the work and for the connection.
            pub(super) fn meaning(&self) -> (Class, Recovery) {
                use Class::{Installation, Permanent, Throttled, Transient};
                match self {
                    $(Self::$name => ($class, Recovery::$recovery),)*
                    // Tried again, because giving up on something unknown would cost more.
                    Self::Other(_) => (Transient, Recovery::Link),
                }
            }
        }
    };
}

conditions! {
    // Locks and messages. The link is fine; this one message is not ours any more.
    MessageLockLost = "com.microsoft:message-lock-lost" => Permanent, None;
    MessageNotFound = "com.microsoft:message-not-found" => Permanent, None;
    SessionLockLost = "com.microsoft:session-lock-lost" => Transient, Link;
    SessionCannotBeLocked = "com.microsoft:session-cannot-be-locked" => Transient, Link;
    SessionNotFound = "com.microsoft:session-not-found" => Permanent, None;
    StoreLockLost = "com.microsoft:store-lock-lost" => Transient, Link;

    // Credentials. A new link is attached under a fresh token, which mends a token that merely lapsed.
    UnauthorizedAccess = "amqp:unauthorized-access" => Installation, Link;
    AuthFailed = "com.microsoft:auth-failed" => Installation, Link;
    PublisherRevoked = "com.microsoft:publisher-revoked" => Installation, Fatal;

    // The entity.
    NotFound = "amqp:not-found" => Installation, Fatal;
    EntityDisabled = "com.microsoft:entity-disabled" => Installation, Fatal;
    EntityAlreadyExists = "com.microsoft:entity-already-exists" => Permanent, None;
    ResourceDeleted = "amqp:resource-deleted" => Installation, Fatal;
    NoMatchingSubscription = "com.microsoft:no-matching-subscription" => Permanent, None;
    // Somebody else holds the entity for himself; taking it back in turns would be worse than waiting.
    LinkStolen = "amqp:link:stolen" => Installation, Fatal;
    ResourceLocked = "amqp:resource-locked" => Transient, Link;

    // Load.
    ServerBusy = "com.microsoft:server-busy" => Throttled { retry_after: Some(BUSY) }, None;
    ResourceLimitExceeded = "amqp:resource-limit-exceeded" => Throttled { retry_after: None }, None;
    Timeout = "com.microsoft:timeout" => Transient, None;
    OperationCancelled = "com.microsoft:operation-cancelled" => Transient, None;
    InternalError = "amqp:internal-error" => Transient, Link;

    // The service moves, is upgraded, or found us idle.
    DetachForced = "amqp:link:detach-forced" => Transient, Link;
    AddressAlreadyInUse = "com.microsoft:address-already-in-use" => Transient, Link;
    ConnectionForced = "amqp:connection:forced" => Transient, Connection;
    ContainerClose = "com.microsoft:container-close" => Transient, Connection;
    PartitionNotOwned = "com.microsoft:partition-not-owned" => Transient, Connection;
    ConnectionRedirect = "amqp:connection:redirect" => Installation, Fatal;
    LinkRedirect = "amqp:link:redirect" => Installation, Fatal;

    // The request itself.
    MessageSizeExceeded = "amqp:link:message-size-exceeded" => Permanent, None;
    NotAllowed = "amqp:not-allowed" => Permanent, None;
    ArgumentError = "com.microsoft:argument-error" => Permanent, None;
    ArgumentOutOfRange = "com.microsoft:argument-out-of-range" => Permanent, None;
    InvalidField = "amqp:invalid-field" => Permanent, None;
    DecodeError = "amqp:decode-error" => Permanent, None;
    PreconditionFailed = "amqp:precondition-failed" => Permanent, None;
    ServicePreconditionFailed = "com.microsoft:precondition-failed" => Permanent, None;
    NotImplemented = "amqp:not-implemented" => Permanent, None;

    // The two sides disagree about the state of the protocol. A new start is the only cure.
    TransferLimitExceeded = "amqp:link:transfer-limit-exceeded" => Transient, Link;
    IllegalState = "amqp:illegal-state" => Transient, Connection;
    FrameSizeTooSmall = "amqp:frame-size-too-small" => Transient, Connection;
    FramingError = "amqp:connection:framing-error" => Transient, Connection;
    WindowViolation = "amqp:session:window-violation" => Transient, Connection;
    ErrantLink = "amqp:session:errant-link" => Transient, Connection;
    HandleInUse = "amqp:session:handle-in-use" => Transient, Connection;
    UnattachedHandle = "amqp:session:unattached-handle" => Transient, Connection;
}

impl Condition {
    /// The condition of an error of the protocol library. Its own enum spells the standard conditions as
    /// variants; going through the symbol keeps one table here.
    pub(super) fn of(error: &definitions::Error) -> Self {
        use definitions::ErrorCondition as C;
        use serde_amqp::primitives::Symbol;
        let symbol: Symbol = match &error.condition {
            C::AmqpError(condition) => condition.into(),
            C::ConnectionError(condition) => condition.into(),
            C::SessionError(condition) => condition.into(),
            C::LinkError(condition) => condition.into(),
            C::Custom(symbol) => return Self::parse(symbol.as_str()),
        };
        Self::parse(symbol.as_str())
    }

    /// What a refusal under this condition is about.
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound => RefusalKind::NotFound,
            Self::UnauthorizedAccess | Self::AuthFailed => RefusalKind::Denied,
            Self::EntityDisabled => RefusalKind::Disabled,
            _ => RefusalKind::Other,
        }
    }

    /// The condition of a management or token reply: its own, or by its status if it names none.
    pub(super) fn of_status(condition: Option<&str>, status: i32) -> Self {
        match (condition, status) {
            (Some(text), _) => Self::parse(text),
            (None, 400) => Self::ArgumentError,
            (None, 401 | 403) => Self::UnauthorizedAccess,
            (None, 404) => Self::NotFound,
            (None, 408) => Self::Timeout,
            (None, 410) => Self::MessageLockLost,
            (None, 501) => Self::NotImplemented,
            (None, 503) => Self::ServerBusy,
            (None, _) => Self::InternalError,
        }
    }
}

/// A failure and what has to be made anew.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) recovery: Recovery,
    pub(super) condition: Option<Condition>,
}

impl Failure {
    /// From a condition the service named.
    pub(super) fn refused(doing: &'static str, condition: Condition, description: Option<&str>) -> Self {
        let (class, recovery) = condition.meaning();
        let description = description.unwrap_or("no description");
        let error = Error::Refused {
            doing,
            condition: condition.as_str().into(),
            description: description[..description.floor_char_boundary(500)].into(),
            kind: condition.kind(),
            class,
        };
        Self { error, recovery, condition: Some(condition) }
    }

    /// From an error of the protocol.
    pub(super) fn amqp(doing: &'static str, error: &definitions::Error) -> Self {
        Self::refused(doing, Condition::of(error), error.description.as_deref())
    }

    /// From anything that only a new connection can mend.
    pub(super) fn connection(error: Error) -> Self {
        let recovery = match error.class() {
            Class::Installation => Recovery::Fatal,
            Class::Transient | Class::Throttled { .. } | Class::Permanent => Recovery::Connection,
        };
        Self { error, recovery, condition: None }
    }

    /// From anything that a new link can mend.
    pub(super) fn link(error: Error) -> Self {
        Self { error, recovery: Recovery::Link, condition: None }
    }

    /// How long the service asked us to wait at least.
    pub(super) fn retry_after(&self) -> Duration {
        match self.error.class() {
            Class::Throttled { retry_after } => retry_after.unwrap_or(BUSY),
            Class::Transient | Class::Permanent | Class::Installation => Duration::ZERO,
        }
    }

    /// Whether the message is simply not ours any more.
    pub(super) fn is_lock_lost(&self) -> bool {
        matches!(
            self.condition,
            Some(Condition::MessageLockLost | Condition::SessionLockLost | Condition::MessageNotFound)
        )
    }

    /// The same, when it happened while a link was attached: no single message is concerned then, so what would
    /// be wrong with a message is wrong with the installation.
    pub(super) fn at_attach(mut self) -> Self {
        if let Error::Refused { class, .. } = &mut self.error
            && matches!(class, Class::Permanent)
        {
            *class = Class::Installation;
            self.recovery = Recovery::Fatal;
        }
        self.recovery = self.recovery.max(Recovery::Link);
        self
    }

    /// The same, when it ended the connection.
    pub(super) fn at_connection(self) -> Self {
        let mut failure = self.at_attach();
        failure.recovery = failure.recovery.max(Recovery::Connection);
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY_CLASS: Class = Class::Throttled { retry_after: Some(Duration::from_secs(4)) };
    const FULL_CLASS: Class = Class::Throttled { retry_after: None };

    /// The table once more, written down apart: condition, class, recovery.
    const EXPECTED: &[(&str, Class, Recovery)] = &[
        ("com.microsoft:message-lock-lost", Class::Permanent, Recovery::None),
        ("com.microsoft:session-lock-lost", Class::Transient, Recovery::Link),
        ("com.microsoft:session-cannot-be-locked", Class::Transient, Recovery::Link),
        ("com.microsoft:message-not-found", Class::Permanent, Recovery::None),
        ("com.microsoft:session-not-found", Class::Permanent, Recovery::None),
        ("amqp:not-found", Class::Installation, Recovery::Fatal),
        ("com.microsoft:entity-disabled", Class::Installation, Recovery::Fatal),
        ("com.microsoft:entity-already-exists", Class::Permanent, Recovery::None),
        ("amqp:unauthorized-access", Class::Installation, Recovery::Link),
        ("com.microsoft:auth-failed", Class::Installation, Recovery::Link),
        ("com.microsoft:server-busy", BUSY_CLASS, Recovery::None),
        ("com.microsoft:timeout", Class::Transient, Recovery::None),
        ("com.microsoft:operation-cancelled", Class::Transient, Recovery::None),
        ("amqp:internal-error", Class::Transient, Recovery::Link),
        ("amqp:link:detach-forced", Class::Transient, Recovery::Link),
        ("amqp:connection:forced", Class::Transient, Recovery::Connection),
        ("com.microsoft:container-close", Class::Transient, Recovery::Connection),
        ("amqp:link:stolen", Class::Installation, Recovery::Fatal),
        ("amqp:link:message-size-exceeded", Class::Permanent, Recovery::None),
        ("amqp:resource-limit-exceeded", FULL_CLASS, Recovery::None),
        ("amqp:link:transfer-limit-exceeded", Class::Transient, Recovery::Link),
        ("amqp:not-allowed", Class::Permanent, Recovery::None),
        ("com.microsoft:argument-error", Class::Permanent, Recovery::None),
        ("com.microsoft:argument-out-of-range", Class::Permanent, Recovery::None),
        ("amqp:invalid-field", Class::Permanent, Recovery::None),
        ("amqp:decode-error", Class::Permanent, Recovery::None),
        ("amqp:precondition-failed", Class::Permanent, Recovery::None),
        ("com.microsoft:precondition-failed", Class::Permanent, Recovery::None),
        ("amqp:not-implemented", Class::Permanent, Recovery::None),
        ("amqp:resource-deleted", Class::Installation, Recovery::Fatal),
        ("com.microsoft:store-lock-lost", Class::Transient, Recovery::Link),
        ("com.microsoft:partition-not-owned", Class::Transient, Recovery::Connection),
        ("com.microsoft:publisher-revoked", Class::Installation, Recovery::Fatal),
        ("com.microsoft:no-matching-subscription", Class::Permanent, Recovery::None),
        ("com.microsoft:address-already-in-use", Class::Transient, Recovery::Link),
        ("amqp:resource-locked", Class::Transient, Recovery::Link),
        ("amqp:connection:redirect", Class::Installation, Recovery::Fatal),
        ("amqp:link:redirect", Class::Installation, Recovery::Fatal),
        ("amqp:illegal-state", Class::Transient, Recovery::Connection),
        ("amqp:frame-size-too-small", Class::Transient, Recovery::Connection),
        ("amqp:connection:framing-error", Class::Transient, Recovery::Connection),
        ("amqp:session:window-violation", Class::Transient, Recovery::Connection),
        ("amqp:session:errant-link", Class::Transient, Recovery::Connection),
        ("amqp:session:handle-in-use", Class::Transient, Recovery::Connection),
        ("amqp:session:unattached-handle", Class::Transient, Recovery::Connection),
    ];

    #[test]
    fn each_condition_means_what_the_table_says() {
        for (text, class, recovery) in EXPECTED {
            let condition = Condition::parse(text);
            assert!(!matches!(condition, Condition::Other(_)), "{text} is known");
            assert_eq!(condition.as_str(), *text);
            assert_eq!(condition.meaning(), (*class, *recovery), "{text}");
        }
    }

    #[test]
    fn the_table_has_no_row_that_is_not_tested() {
        for condition in Condition::ALL {
            assert!(EXPECTED.iter().any(|(text, ..)| *text == condition.as_str()), "{condition:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_it_is_about() {
        for condition in Condition::ALL {
            let expected = match condition.as_str() {
                "amqp:not-found" => RefusalKind::NotFound,
                "amqp:unauthorized-access" | "com.microsoft:auth-failed" => RefusalKind::Denied,
                "com.microsoft:entity-disabled" => RefusalKind::Disabled,
                _ => RefusalKind::Other,
            };
            let failure = Failure::refused("attaching", condition.clone(), None);
            assert!(
                matches!(failure.error, Error::Refused { kind, .. } if kind == expected),
                "{condition:?}"
            );
        }
    }

    #[test]
    fn an_unknown_condition_is_tried_again_and_keeps_its_name() {
        let condition = Condition::parse("com.microsoft:new-thing");
        assert_eq!(condition.as_str(), "com.microsoft:new-thing");
        assert_eq!(condition.meaning(), (Class::Transient, Recovery::Link));
    }

    #[test]
    fn the_library_s_spelling_of_standard_conditions_leads_to_the_same_rows() {
        for (text, ..) in EXPECTED {
            let bytes = serde_amqp::to_vec(&serde_amqp::primitives::Symbol::from(*text)).expect("encodes");
            let condition: definitions::ErrorCondition = serde_amqp::from_slice(&bytes).expect("decodes");
            assert_eq!(Condition::of(&definitions::Error::new(condition, None, None)).as_str(), *text);
        }
    }

    #[test]
    fn a_status_stands_in_for_a_missing_condition() {
        for (condition, status, expected) in [
            (Some("com.microsoft:message-lock-lost"), 500, Condition::MessageLockLost),
            (None, 400, Condition::ArgumentError),
            (None, 401, Condition::UnauthorizedAccess),
            (None, 404, Condition::NotFound),
            (None, 408, Condition::Timeout),
            (None, 410, Condition::MessageLockLost),
            (None, 501, Condition::NotImplemented),
            (None, 503, Condition::ServerBusy),
            (None, 599, Condition::InternalError),
        ] {
            assert_eq!(Condition::of_status(condition, status), expected);
        }
    }

    #[test]
    fn a_refused_attach_is_the_installation_s_fault_and_costs_at_least_the_link() {
        let failure = Failure::refused("attaching", Condition::NotAllowed, None).at_attach();
        assert_eq!((failure.error.class(), failure.recovery), (Class::Installation, Recovery::Fatal));
        let failure = Failure::refused("attaching", Condition::ServerBusy, None).at_attach();
        assert_eq!((failure.error.class(), failure.recovery), (BUSY_CLASS, Recovery::Link));
    }
}
