//! A client of Azure Service Bus: messages under a lock, each settled exactly once by value.
//!
//! It knows no contact, no Graph and no settings of the worker. The types at the root know no protocol. [`amqp`]
//! implements [`Queue`] on the real wire; tests may put a fake of a few lines in its place, because a [`Delivery`] is
//! made of a message and anything that can settle.
//!
//! A message travels: [`Queue::receive`] hands out a [`Delivery`] → the engine works on [`Delivery::message`] →
//! [`Delivery::settle`] consumes it. While the work lasts, [`Queue::renew`] keeps its lock.

mod confirm;
mod connection_string;
mod counts;
mod delivery;
mod error;
mod link_state;
mod message;
mod messaging_system;
mod peek;
mod sas;
mod token;
mod transport;

pub mod admin;
pub mod amqp;
pub mod clock;
pub mod http;
pub mod retry;
pub mod times;
pub mod tls;

use std::{sync::Arc, time::Duration};

pub use amqp::{HeldSession, SessionQueue};
use async_trait::async_trait;
pub use confirm::{Confirmation, Confirmations, Confirmed};
pub use connection_string::{
    ConnectionString, ConnectionStringError, NamespaceCredential, NamespaceEndpoint,
};
pub use counts::QueueCounts;
pub use delivery::{DeadLettering, Delivery, Settle, SettleError, Settled, Settlement, Settling, Unsettled};
pub use error::{Cause, Error, RefusalKind, RenewError, SessionError};
use jiff::Timestamp;
pub use link_state::LinkState;
pub use message::{
    ApplicationProperties, ApplicationValue, Damage, Message, Outgoing, Peeked, PeekedState, UnreadableBody,
};
pub use messaging_system::MessagingSystem;
pub use peek::{Peek, Walk, browse, last};
pub use sas::SasKey;
use shared::ids::{LockToken, SequenceNumber};
pub use token::{FixedToken, Token, TokenKind, TokenSource};
use tokio::sync::watch;
pub use transport::{Proxy, Transport};

/// The largest credit. Service Bus allows so many concurrent receives on an entity (Microsoft Learn, "Service Bus
/// quotas"); the number of locked messages has no limit.
pub const MAX_CREDIT: usize = 5_000;

/// A queue, or a sub-queue of one, that this process consumes.
#[async_trait]
pub trait Queue: Peek {
    /// Waits for at least one message and returns all that have arrived, at most as many as the credit allows. Calls are
    /// served one at a time. Cancel-safe: messages that were not returned stay for the next call.
    ///
    /// An error says why no messages arrive: the queue does not exist, the credentials are refused, the service is
    /// unreachable. The client reconnects in the background, so call again unless the error is [`Error::Closed`].
    async fn receive(&self) -> Result<Vec<Delivery>, Error>;

    /// Sets the credit: how many messages the caller can take beyond those that [`Queue::receive`] has returned. Service
    /// and local buffer together never hold more than that for this consumer, across reconnects too.
    ///
    /// Raising it is cheap and may be done after every message. Lowering it drains the open credit and releases surplus
    /// messages, so do it to pause, to shut down or to shrink, not as routine. Call it from the task that receives: a
    /// number computed before a `receive` returned and set afterwards would count the same messages twice.
    fn set_credit(&self, messages: u32);

    /// Renews locks, many in one request. A renewed lock lasts for its full length again. The results are in the order of
    /// the tokens.
    async fn renew(&self, locks: &[LockToken]) -> Vec<Result<(), RenewError>>;

    /// How long a lock lasts from when it was taken or renewed; too short rather than too long while it is not known
    /// exactly. The expiry time that the service reports is not exposed: it is a time of another clock.
    fn lock_length(&self) -> Duration;

    /// How receiving fares, now and from now on.
    fn state(&self) -> watch::Receiver<LinkState>;

    /// Looks into the queue over the same connection, and does nothing else.
    fn browser(&self) -> Arc<dyn Peek>;

    /// The same for the dead-letter queue beneath.
    fn dead_letter_browser(&self) -> Arc<dyn Peek>;

    /// Finds out whether messages may be sent, without sending one.
    async fn attach_sender(&self) -> Result<(), Error>;

    /// What metrics and traces call the system that it belongs to.
    fn system(&self) -> MessagingSystem;

    /// Sends a message and waits until the service confirms it.
    async fn send(&self, message: Outgoing) -> Result<(), Error>;

    /// Schedules a message for `at`, by the local clock, and waits until the service confirms it.
    async fn schedule(&self, message: Outgoing, at: Timestamp) -> Result<(), Error>;

    /// Takes scheduled messages back, all of them or none: `false` if one of them is not there, or not scheduled any more.
    async fn cancel_scheduled(&self, messages: &[SequenceNumber]) -> Result<bool, Error>;

    /// Stops receiving, releases messages that were not returned, waits a bounded time for open settlements and closes the
    /// connection. Afterwards [`Queue::receive`] returns [`Error::Closed`]. A second call does nothing.
    async fn close(&self);
}
