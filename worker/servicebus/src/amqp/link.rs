//! The receiving link itself: attaching, credit, dispositions.
//!
//! What the protocol library does here that is not obvious, and what we make of it:
//!
//! * Its receiver wants `&mut` to receive, so one task owns it and everything else comes to that task.
//! * Automatic credit counts settlements, not free slots, so credit is manual. `set_credit(n)` allows `n`
//!   messages beyond those that `recv` has *returned*; messages on the wire or in its buffer count against it.
//! * Credit must never be set below what is open: a message that is on the wire already would then be refused
//!   locally ("transfer limit exceeded") and be lost to us until its lock lapses. It is taken back by draining.
//! * After a drain its own count of deliveries is too high by what it had buffered when the answer came, and a
//!   later `set_credit` would grant that much too much. So a drained link is never given credit again; a new one
//!   is attached and the old one stays for the settlement of what came over it.
//! * The outcome that the service echoes for a disposition is thrown away by it, so nothing is gained by the
//!   two-step settlement ("second"); the link settles at once ("first"), which halves the frames. What must be
//!   certain goes over `$management` instead.
//! * `dispose_all` sorts by delivery number and puts neighbours into one frame, so settling in batches is cheap.
//! * It sends heartbeats at the full interval that the peer announced, not at half of it; a flow is sent now and
//!   then, which also keeps the service from closing a link that is idle for ten minutes.

use std::{sync::Arc, time::Duration};

use fe2o3_amqp::{
    Receiver,
    link::{CreditMode, delivery::DeliveryInfo, receiver::TerminalDeliveryState},
    session::SessionHandle,
};
use fe2o3_amqp_types::{
    definitions::{ReceiverSettleMode, SenderSettleMode},
    messaging::{Accepted, Modified, Released},
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    connection::{Connection, Namespace},
    faults::ErrorContext,
    reconnecting_link::recover,
    recovery::Failure,
    settler::LinkOutcome,
    wall::Shelf,
};
use crate::error::Error;

const ATTACHING: &str = "attaching the receiving link";
const RECEIVING: &str = "receiving";

/// A receiving link and what we know of it.
pub(super) struct Link {
    pub(super) receiver: Receiver,
    /// Its messages.
    pub(super) shelf: Arc<Shelf>,
    pub(super) connection: Arc<Connection>,
    /// Tells links apart; a delivery remembers which one it came on.
    pub(super) epoch: u64,
    /// Deliveries of this link that are not settled.
    pub(super) unsettled: usize,
    /// Since when the credit is being taken back, moved on by each straggler.
    pub(super) drained: Option<Instant>,
    pub(super) attached: Instant,
    // Dropping the handle ends the session, so it lives as long as the link.
    session: SessionHandle<()>,
}

impl Link {
    /// Attaches a link to `address`, connecting first if need be. On failure it takes away what is useless.
    pub(super) async fn attach(
        namespace: Arc<Namespace>,
        address: Box<str>,
        epoch: u64,
    ) -> Result<Self, Failure> {
        let connection = namespace.connect().await?;
        let limit = namespace.timing.connect;
        let attached = timeout(limit, Self::attach_on(&connection, &address, epoch)).await;
        let timed_out = || Failure::connection(Error::Timeout { doing: ATTACHING, after: limit });
        let attached = attached.unwrap_or_else(|_| Err(timed_out()));
        if let Err(failure) = &attached {
            recover(&namespace, &connection, &address, failure).await;
        }
        attached
    }

    async fn attach_on(connection: &Arc<Connection>, address: &str, epoch: u64) -> Result<Self, Failure> {
        connection.authorize(address).await?;
        let mut session = connection.session().await?;
        let name = format!("{address}-in-{}", Uuid::new_v4());
        let shelf = connection.sessions().shelves().put_up(&name);
        let receiver = Receiver::builder()
            .name(name)
            .source(address)
            // Says that messages are to be locked, not removed as they are sent.
            .sender_settle_mode(SenderSettleMode::Unsettled)
            .receiver_settle_mode(ReceiverSettleMode::First)
            .credit_mode(CreditMode::Manual)
            .auto_accept(false)
            .attach(&mut session)
            .await
            .map_err(|error| {
                ErrorContext { what: ATTACHING, host: connection.host() }.receiver_attach(error)
            })?;
        Ok(Self {
            receiver,
            shelf,
            connection: Arc::clone(connection),
            epoch,
            unsettled: 0,
            drained: None,
            attached: Instant::now(),
            session,
        })
    }

    /// For messages of errors.
    pub(super) fn doing(&self) -> ErrorContext<'_> {
        ErrorContext { what: RECEIVING, host: self.connection.host() }
    }

    /// Messages the service may still send.
    pub(super) fn open_credit(&self) -> usize {
        match self.drained {
            Some(_) => 0,
            None => usize::try_from(self.receiver.credit()).unwrap_or(usize::MAX),
        }
    }

    /// Allows `messages` further ones; must not be less than [`Link::open_credit`].
    pub(super) async fn grant(&mut self, messages: usize) -> Result<(), Failure> {
        debug_assert!(self.drained.is_none() && messages >= self.open_credit());
        let credit = u32::try_from(messages).unwrap_or(u32::MAX);
        self.receiver.set_credit(credit).await.map_err(|error| self.doing().flow(error))
    }

    /// Takes the open credit back. Stragglers may still come.
    pub(super) async fn drain(&mut self) -> Result<(), Failure> {
        self.drained = Some(Instant::now());
        self.receiver.drain().await.map_err(|error| self.doing().flow(error))
    }

    /// Sends a flow that changes nothing, as a sign of life.
    pub(super) async fn touch(&mut self) -> Result<(), Failure> {
        // On a drained link the same flow would grant credit.
        if self.drained.is_some() {
            return Ok(());
        }
        self.grant(self.open_credit()).await
    }

    /// Settles deliveries of this link.
    pub(super) async fn dispose(
        &mut self,
        infos: Vec<DeliveryInfo>,
        outcome: LinkOutcome,
    ) -> Result<(), Failure> {
        let state = match outcome {
            LinkOutcome::Complete => TerminalDeliveryState::Accepted(Accepted {}),
            LinkOutcome::Release => TerminalDeliveryState::Released(Released {}),
            LinkOutcome::Abandon => TerminalDeliveryState::Modified(Modified {
                delivery_failed: Some(true),
                undeliverable_here: Some(false),
                message_annotations: None,
            }),
        };
        self.unsettled = self.unsettled.saturating_sub(infos.len());
        self.receiver.dispose_all(infos, state).await.map_err(|error| self.doing().flow(error))
    }

    /// Detaches, bounded in time.
    pub(super) async fn close(mut self, limit: Duration) {
        let closed = timeout(limit, async {
            // Whatever the answer is, the link is gone afterwards.
            drop(self.receiver.close().await);
            drop(self.session.end().await);
        });
        drop(closed.await);
    }
}
