//! The sessions of one connection.

use std::time::Duration;

use fe2o3_amqp::{Session, connection::ConnectionHandle, session::SessionHandle};
use tokio::{sync::Mutex, time::timeout};

use super::{faults::ErrorContext, recovery::Failure, wall::Shelves};

/// Transfers the service may have under way in one session. The library announces the window anew at half.
const WINDOW: u32 = 5_000;

/// What every link needs of a connection: a session.
pub(super) struct Sessions {
    host: Box<str>,
    handle: Mutex<ConnectionHandle<()>>,
    shelves: Shelves,
}

impl Sessions {
    /// Takes an open connection, behind whose wall messages go to these shelves; `host` names it in messages.
    pub(super) fn new(host: Box<str>, handle: ConnectionHandle<()>, shelves: Shelves) -> Self {
        Self { host, handle: Mutex::new(handle), shelves }
    }

    /// Host and port, for messages.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Where links that receive take their messages from.
    pub(super) fn shelves(&self) -> &Shelves {
        &self.shelves
    }

    /// A new session. Every link or pair of links has its own, so that one that is slow to take its transfers
    /// holds up no other, and one that is dropped in a hurry takes no other down.
    pub(super) async fn begin(&self) -> Result<SessionHandle<()>, Failure> {
        let doing = ErrorContext { what: "beginning a session", host: &self.host };
        let mut handle = self.handle.lock().await;
        Session::builder()
            .incoming_window(WINDOW)
            .outgoing_window(WINDOW)
            .begin(&mut handle)
            .await
            .map_err(|error| doing.begin(error))
    }

    /// Whether it is certain that nothing can be done with the connection any more.
    pub(super) async fn is_closed(&self) -> bool {
        self.handle.lock().await.is_closed()
    }

    /// Closes the connection. The peer may be gone, and the library waits for its answer without end.
    pub(super) async fn close(&self, limit: Duration) {
        let closed = async { self.handle.lock().await.close().await };
        if timeout(limit, closed).await.is_err() {
            tracing::debug!(host = self.host(), "service bus did not answer our close");
        }
    }
}
