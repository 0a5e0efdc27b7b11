//! The sending link.

use std::time::Duration;

use fe2o3_amqp::{Sender, session::SessionHandle};
use fe2o3_amqp_types::messaging::Outcome;
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use super::{
    connection::Connection,
    faults::{ErrorContext, still_attached},
    outgoing::outgoing,
    reconnecting_link::Attach,
    recovery::Failure,
};
use crate::{error::Error, message::Outgoing};

const DOING: &str = "sending a message";

/// A link to send messages to one entity.
pub(super) struct SendLink {
    host: Box<str>,
    sender: Mutex<Sender>,
    /// Turns true when the session has ended, with the connection or without.
    ended: watch::Receiver<bool>,
    session: JoinHandle<()>,
}

impl Attach for SendLink {
    async fn attach(connection: &Connection, address: &str) -> Result<Self, Failure> {
        let mut session = connection.session().await?;
        let id = Uuid::new_v4();
        let sender = Sender::builder()
            .name(format!("{address}-out-{id}"))
            .source(format!("sender-{id}"))
            .target(address)
            .attach(&mut session)
            .await
            .map_err(|error| ErrorContext { what: DOING, host: connection.host() }.sender_attach(error))?;
        let (end, ended) = watch::channel(false);
        let session = tokio::spawn(watch_over(session, end));
        Ok(Self { host: connection.host().into(), sender: Mutex::new(sender), ended, session })
    }
}

impl Drop for SendLink {
    fn drop(&mut self) {
        // With the task goes the handle, and that ends the session.
        self.session.abort();
    }
}

async fn watch_over(mut session: SessionHandle<()>, end: watch::Sender<bool>) {
    // Whatever the reason is: who needs the link attaches a new one and learns it there.
    drop(session.on_end().await);
    end.send_replace(true);
}

impl SendLink {
    /// Sends and waits until the service has taken the message over. A copy may arrive twice when the answer is
    /// lost and the caller tries again; duplicates are harmless here.
    pub(super) async fn send(
        &self,
        message: &Outgoing,
        at: Option<Timestamp>,
        limit: Duration,
    ) -> Result<(), Failure> {
        let doing = ErrorContext { what: DOING, host: &self.host };
        let sent = timeout(limit, async {
            // Only the hand-over is serialized; many messages may wait for their acknowledgement together.
            let outcome = {
                let mut sender = self.sender.lock().await;
                still_attached(&mut sender, doing)?;
                let message = outgoing(message, at);
                sender.send_batchable(message).await.map_err(|error| doing.send(error))?
            };
            // While its sender lives, the library leaves an outcome open that the end of the session made
            // impossible.
            let mut ended = self.ended.clone();
            tokio::select! {
                outcome = outcome => outcome.map_err(|error| doing.send(error)),
                _ = ended.wait_for(|ended| *ended) => Err(doing.link_ended("the session ended")),
            }
        });
        match sent.await {
            Ok(Ok(Outcome::Accepted(_))) => Ok(()),
            Ok(Ok(Outcome::Rejected(rejected))) => Err(match &rejected.error {
                Some(error) => Failure::amqp(DOING, error),
                None => doing.link_ended("the message was rejected without a reason"),
            }),
            Ok(Ok(Outcome::Released(_) | Outcome::Modified(_))) => {
                Err(doing.link_ended("the service did not take the message"))
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::link(Error::Timeout { doing: DOING, after: limit })),
        }
    }
}
