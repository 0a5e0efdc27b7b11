//! Why a connection ended.

use thiserror::Error;

use super::frame;

#[derive(Debug, Error)]
pub(crate) enum Ended {
    #[error("the socket failed")]
    Io(#[from] std::io::Error),
    /// The client left without closing.
    #[error("the client left without closing the connection")]
    Left,
    /// Bytes that are no AMQP frames.
    #[error("the client sent something that is not a frame")]
    Frame(#[from] frame::Error),
    #[error("{0}")]
    Greeting(&'static str),
    /// Either side closed in good form.
    #[error("closed")]
    Closed,
    /// Cut on order.
    #[error("cut by a fault")]
    Cut,
    /// Nothing came for too long.
    #[error("nothing came from the client for too long")]
    Silent,
    /// No token was put in time.
    #[error("the client put no valid token in time")]
    NoToken,
}
