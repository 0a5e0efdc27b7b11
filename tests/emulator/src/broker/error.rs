//! Why the broker refuses something. The wire layer gives each its AMQP condition.

use thiserror::Error;

/// A refusal, as the service would word it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// No entity has this name.
    #[error("The messaging entity '{0}' could not be found.")]
    NotFound(String),
    /// The entity is switched off.
    #[error("Messaging entity '{0}' is currently disabled.")]
    Disabled(String),
    /// The lock token is unknown, has lapsed or was settled.
    #[error(
        "The lock supplied is invalid. Either the lock expired, or the message has already been removed from \
         the queue. For more information please see https://aka.ms/ServiceBusExceptions."
    )]
    MessageLockLost,
    /// The session is not held by the caller.
    #[error("The session lock has expired on the MessageSession. Accept a new MessageSession.")]
    SessionLockLost,
    /// Somebody else holds the session.
    #[error("The requested session '{0}' cannot be accepted. It may be locked by another receiver.")]
    SessionCannotBeLocked(String),
    /// No session has messages.
    #[error("No session has messages.")]
    SessionNotFound,
    /// No deferred or scheduled message has this number.
    #[error("Failed to locate the message with the sequence number {0}.")]
    MessageNotFound(i64),
    /// A receiver without session on an entity with sessions.
    #[error(
        "It is not possible for an entity that requires sessions to create a non-sessionful message receiver."
    )]
    SessionRequired,
    /// A session receiver on an entity without sessions.
    #[error("A sessionful message receiver cannot be created on an entity that does not require sessions.")]
    SessionNotSupported,
    /// A message without session id was sent to an entity that needs one.
    #[error(
        "The SessionId was not set on a message, and it cannot be sent to the entity. Entities that have \
             session support enabled can only receive messages that have the SessionId set to a valid value."
    )]
    SessionIdMissing,
    /// A message is larger than the entity takes.
    #[error(
        "The received message (delivery size: {size} bytes) exceeds the limit ({limit} bytes) currently allowed on the link."
    )]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// The entity is full.
    #[error("The maximum entity size has been reached or exceeded for '{0}'.")]
    QuotaExceeded(String),
    /// A field of a message or request is out of bounds.
    #[error("{0}")]
    Argument(String),
    /// The entity, or the rule, is there already.
    #[error("The messaging entity '{0}' already exists.")]
    AlreadyExists(String),
    /// The rule is not there.
    #[error("The rule '{0}' could not be found.")]
    RuleNotFound(String),
    /// The operation makes no sense on this kind of entity.
    #[error("{0}")]
    NotAllowed(String),
}
