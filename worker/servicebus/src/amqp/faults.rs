//! The protocol library's errors, sorted by what mends them.
//!
//! The library tells apart more than we need and hides what we need, the peer's condition, at several depths.
//! Each function here digs it out.

use fe2o3_amqp::{
    Sender,
    connection::{ConnectionStopReason, OpenError},
    link::{
        DetachError, IllegalLinkStateError, LinkStateError, ReceiverAttachError, RecvError, SendError,
        SenderAttachError, SessionStopReason,
    },
    session::BeginError,
};
use futures_util::FutureExt;

use super::recovery::{Condition, Failure};
use crate::error::{Cause, Error};

/// What was being done, and with whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorContext<'a> {
    pub(super) what: &'static str,
    pub(super) host: &'a str,
}

impl ErrorContext<'_> {
    fn broken(self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Connection { doing: self.what, host: self.host.into(), cause: Cause::new(cause) }
    }

    /// The link ended without a condition.
    pub(super) fn link_ended(self, how: &str) -> Failure {
        Failure::link(self.broken(how))
    }

    /// The connection ended without a condition.
    pub(super) fn connection_ended(self, how: &str) -> Failure {
        Failure::connection(self.broken(how))
    }

    pub(super) fn open(self, error: OpenError) -> Failure {
        match error {
            OpenError::RemoteClosedWithError(error) => Failure::amqp(self.what, &error),
            OpenError::SaslError { code, .. } => {
                let text = format!("the sasl exchange ended with {code:?}");
                Failure::refused(self.what, Condition::UnauthorizedAccess, Some(&text))
            }
            other => Failure::connection(self.broken(other)),
        }
    }

    pub(super) fn begin(self, error: BeginError) -> Failure {
        match error {
            BeginError::RemoteEndedWithError(error) => Failure::amqp(self.what, &error),
            BeginError::ConnectionStopped(reason) => self.connection_stop(&reason),
            other => Failure::connection(self.broken(other)),
        }
    }

    pub(super) fn receiver_attach(self, error: ReceiverAttachError) -> Failure {
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => Failure::amqp(self.what, &error).at_attach(),
            ReceiverAttachError::SessionStopped(reason) => self.session_stop(&reason),
            other => Failure::connection(self.broken(other)),
        }
    }

    pub(super) fn sender_attach(self, error: SenderAttachError) -> Failure {
        match error {
            SenderAttachError::RemoteClosedWithError(error) => Failure::amqp(self.what, &error).at_attach(),
            SenderAttachError::SessionStopped(reason) => self.session_stop(&reason),
            other => Failure::connection(self.broken(other)),
        }
    }

    pub(super) fn recv(self, error: RecvError) -> Failure {
        match error {
            RecvError::LinkStateError(error) => self.link_state(error),
            other => Failure::link(self.broken(other)),
        }
    }

    pub(super) fn send(self, error: SendError) -> Failure {
        match error {
            SendError::LinkStateError(error) => self.link_state(error),
            SendError::Detached(
                DetachError::RemoteClosedWithError(error) | DetachError::RemoteDetachedWithError(error),
            ) => Failure::amqp(self.what, &error).at_attach(),
            SendError::Detached(DetachError::SessionStopped(reason)) => self.session_stop(&reason),
            SendError::MessageSizeExceeded(size) => {
                Failure::refused(self.what, Condition::MessageSizeExceeded, Some(&size.to_string()))
            }
            other => Failure::link(self.broken(other)),
        }
    }

    pub(super) fn flow(self, error: IllegalLinkStateError) -> Failure {
        match error {
            IllegalLinkStateError::SessionStopped(reason) => self.session_stop(&reason),
            IllegalLinkStateError::IllegalState => self.link_ended("the link is not attached"),
        }
    }

    pub(super) fn link_state(self, error: LinkStateError) -> Failure {
        match error {
            LinkStateError::RemoteDetachedWithError(error) | LinkStateError::RemoteClosedWithError(error) => {
                Failure::amqp(self.what, &error).at_attach()
            }
            LinkStateError::SessionStopped(reason) => self.session_stop(&reason),
            LinkStateError::RemoteDetached | LinkStateError::RemoteClosed => {
                self.link_ended("the service closed the link")
            }
            LinkStateError::IllegalState | LinkStateError::ExpectImmediateDetach => {
                self.link_ended("the link is in an impossible state")
            }
        }
    }

    fn session_stop(self, reason: &SessionStopReason) -> Failure {
        match reason {
            SessionStopReason::RemoteEndedWithError(error) | SessionStopReason::EndedWithError(error) => {
                Failure::amqp(self.what, error).at_attach()
            }
            SessionStopReason::ConnectionStopped(reason) => self.connection_stop(reason),
            SessionStopReason::Ended | SessionStopReason::RemoteEnded => self.link_ended("the session ended"),
        }
    }

    fn connection_stop(self, reason: &ConnectionStopReason) -> Failure {
        match reason {
            ConnectionStopReason::RemoteClosedWithError(error)
            | ConnectionStopReason::ClosedWithError(error) => Failure::amqp(self.what, error).at_connection(),
            ConnectionStopReason::Closed => self.connection_ended("the connection broke"),
            ConnectionStopReason::RemoteClosed => self.connection_ended("the service closed the connection"),
        }
    }
}

/// Looks whether the service has detached the link. The library looks too, but tosses a coin when there is
/// credit as well, and what it sends on a detached link is never answered.
pub(super) fn still_attached(sender: &mut Sender, doing: ErrorContext<'_>) -> Result<(), Failure> {
    match sender.on_detach().now_or_never() {
        Some(error) => Err(doing.send(SendError::Detached(error))),
        None => Ok(()),
    }
}
