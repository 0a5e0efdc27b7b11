//! AMQP conditions: the one table from what the broker says to what the wire says.

use serde_amqp::Value;

use super::{
    frame::code,
    value::{described, string, symbol},
};
use crate::{
    breakage::{Breakage, Broken},
    broker::Error,
};

pub(crate) const NOT_FOUND: &str = "amqp:not-found";
pub(crate) const UNAUTHORIZED: &str = "amqp:unauthorized-access";
pub(crate) const NOT_ALLOWED: &str = "amqp:not-allowed";
pub(crate) const NOT_IMPLEMENTED: &str = "amqp:not-implemented";
pub(crate) const INTERNAL_ERROR: &str = "amqp:internal-error";
pub(crate) const DECODE_ERROR: &str = "amqp:decode-error";
pub(crate) const RESOURCE_LIMIT: &str = "amqp:resource-limit-exceeded";
pub(crate) const DETACH_FORCED: &str = "amqp:link:detach-forced";
pub(crate) const SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
pub(crate) const CONNECTION_FORCED: &str = "amqp:connection:forced";
pub(crate) const FRAMING_ERROR: &str = "amqp:connection:framing-error";
pub(crate) const ENTITY_DISABLED: &str = "com.microsoft:entity-disabled";
pub(crate) const ALREADY_EXISTS: &str = "com.microsoft:entity-already-exists";
pub(crate) const MESSAGE_LOCK_LOST: &str = "com.microsoft:message-lock-lost";
pub(crate) const SESSION_LOCK_LOST: &str = "com.microsoft:session-lock-lost";
pub(crate) const SESSION_CANNOT_BE_LOCKED: &str = "com.microsoft:session-cannot-be-locked";
pub(crate) const SESSION_NOT_FOUND: &str = "com.microsoft:session-not-found";
pub(crate) const MESSAGE_NOT_FOUND: &str = "com.microsoft:message-not-found";
pub(crate) const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";
pub(crate) const SERVER_BUSY: &str = "com.microsoft:server-busy";
pub(crate) const TIMEOUT: &str = "com.microsoft:timeout";

/// A refusal on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) condition: &'static str,
    pub(crate) description: String,
}

impl Failure {
    pub(crate) fn new(condition: &'static str, description: impl Into<String>) -> Self {
        Self { condition, description: description.into() }
    }

    /// A failure that a test scripted. Conditions that this server never uses become an internal error.
    pub(crate) fn scripted(condition: &str) -> Self {
        let known = KNOWN.iter().find(|known| **known == condition);
        Self::new(known.copied().unwrap_or(INTERNAL_ERROR), "The request was refused by a scripted fault.")
    }

    /// The error as a composite, always with all three fields: clients index into them.
    pub(crate) fn to_value(&self, broken: Broken) -> Value {
        let mut fields = vec![symbol(self.condition), string(&self.description)];
        if !broken.is(Breakage::TwoFieldErrors) {
            fields.push(Value::Null);
        }
        described(code::ERROR, Value::List(fields))
    }

    /// The HTTP-like status of the failure on request nodes.
    pub(crate) fn status(&self) -> i32 {
        match self.condition {
            UNAUTHORIZED => 401,
            SIZE_EXCEEDED | RESOURCE_LIMIT => 403,
            NOT_FOUND | MESSAGE_NOT_FOUND => 404,
            SESSION_NOT_FOUND => 204,
            TIMEOUT => 408,
            ALREADY_EXISTS => 409,
            MESSAGE_LOCK_LOST | SESSION_LOCK_LOST | SESSION_CANNOT_BE_LOCKED => 410,
            INTERNAL_ERROR => 500,
            NOT_IMPLEMENTED => 501,
            SERVER_BUSY => 503,
            _ => 400,
        }
    }
}

/// Conditions that a scripted fault may name.
const KNOWN: [&str; 24] = [
    NOT_FOUND,
    UNAUTHORIZED,
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
    INTERNAL_ERROR,
    DECODE_ERROR,
    RESOURCE_LIMIT,
    DETACH_FORCED,
    SIZE_EXCEEDED,
    CONNECTION_FORCED,
    FRAMING_ERROR,
    ENTITY_DISABLED,
    ALREADY_EXISTS,
    MESSAGE_LOCK_LOST,
    SESSION_LOCK_LOST,
    SESSION_CANNOT_BE_LOCKED,
    SESSION_NOT_FOUND,
    MESSAGE_NOT_FOUND,
    ARGUMENT_ERROR,
    SERVER_BUSY,
    TIMEOUT,
    "amqp:link:stolen",
    "com.microsoft:operation-cancelled",
    "com.microsoft:container-close",
];

/// The condition as one of those that this server knows, for faults.
pub(crate) fn known(condition: &str) -> &'static str {
    Failure::scripted(condition).condition
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let condition = match &error {
            Error::NotFound(_) | Error::RuleNotFound(_) => NOT_FOUND,
            Error::Disabled(_) => ENTITY_DISABLED,
            Error::MessageLockLost => MESSAGE_LOCK_LOST,
            Error::SessionLockLost => SESSION_LOCK_LOST,
            Error::SessionCannotBeLocked(_) => SESSION_CANNOT_BE_LOCKED,
            Error::SessionNotFound => SESSION_NOT_FOUND,
            Error::MessageNotFound(_) => MESSAGE_NOT_FOUND,
            Error::SessionRequired
            | Error::SessionNotSupported
            | Error::SessionIdMissing
            | Error::NotAllowed(_) => NOT_ALLOWED,
            Error::TooLarge { .. } => SIZE_EXCEEDED,
            Error::QuotaExceeded(_) => RESOURCE_LIMIT,
            Error::Argument(_) => ARGUMENT_ERROR,
            Error::AlreadyExists(_) => ALREADY_EXISTS,
        };
        Self::new(condition, error.to_string())
    }
}
