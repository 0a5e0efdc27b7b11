//! A client of Azure Service Bus: messages under a lock, each settled exactly once by value.
//!
//! It knows no contact, no Graph and no settings of the worker. The types at the root know no protocol. [`amqp`] implements [`Queue`] on the real wire; tests may put a
//! fake of a few lines in its place, because a [`Delivery`] is made of a message and anything that can settle.
//!
//! A message travels: [`Queue::receive`] hands out a [`Delivery`] → the engine works on [`Delivery::message`] →
//! [`Delivery::settle`] consumes it. While the work lasts, [`Queue::renew`] keeps its lock.

mod confirm;
mod connection_string;
mod delivery;
mod error;
mod link_state;
mod message;
mod peek;
mod sas;
mod token;
mod way;

pub mod admin;
pub mod amqp;
pub mod clock;
pub mod http;
pub mod times;
pub mod tls;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use shared::ids::LockToken;

pub use confirm::{Confirmation, Confirmations, Confirmed};
pub use connection_string::{ConnectionString, ConnectionStringError, Credential, Endpoint};
pub use delivery::{DeadLettering, Delivery, SettleError, Settled, Settlement, Settler, Settling, Unsettled};
pub use error::{Cause, Error, RenewError};
pub use link_state::LinkState;
pub use message::{Damage, Message, Outgoing, Peeked, PeekedState, Properties, Property, UnreadableBody};
pub use peek::{Peek, Walk, browse, last};
pub use sas::SasKey;
pub use token::{FixedToken, Token, TokenKind, TokenSource};
pub use way::{Proxy, Way};

/// Most messages that are asked for at once. Service Bus allows so many concurrent receives on an entity
/// (Microsoft Learn, "Service Bus quotas"); how many stay locked is not limited.
pub const MAX_CREDIT: usize = 5_000;

/// A queue, or one of its sub-queues, of which this process is a consumer.
#[async_trait]
pub trait Queue: Peek {
    /// Waits until at least one message is there and hands over all that are, never more than the credit
    /// allows. Only one caller at a time. Safe to cancel: what was not returned stays for the next call.
    ///
    /// An error says why no messages come (the queue does not exist, the credentials are refused, the service is
    /// away); the connection is retried in the background all the same, so calling again is right unless the
    /// error is [`Error::Closed`].
    async fn receive(&self) -> Result<Vec<Delivery>, Error>;

    /// Says how many further messages, beyond those that [`Queue::receive`] has returned, the engine can take
    /// now. Neither the service nor the buffer here ever holds more than that for us, over reconnects too.
    ///
    /// Raising the number is cheap and may be done after every message. Lowering it below what is still open
    /// takes the open credit back from the service and gives surplus messages back untouched, so do it to pause,
    /// to shut down or to shrink the pool, not as routine. Call it from the task that receives: a number that was
    /// computed before a `receive` returned and set afterwards would count the same slots twice.
    fn set_credit(&self, messages: u32);

    /// Extends the locks, many in one request: each that is extended holds for its whole length again. The answers
    /// stand in the order of the tokens.
    async fn renew(&self, locks: &[LockToken]) -> Vec<Result<(), RenewError>>;

    /// How long a lock holds from when it was taken or extended, as far as is known now; rather too short than too
    /// long. Until when the service says a lock holds is told to nobody: that is a time by another clock than ours.
    fn lock_length(&self) -> Duration;

    /// Sends a message; returns when the service has confirmed it.
    async fn send(&self, message: Outgoing) -> Result<(), Error>;

    /// Sends a message that stays invisible until `at`, by our clock; returns when the service has confirmed it.
    async fn schedule(&self, message: Outgoing, at: Timestamp) -> Result<(), Error>;

    /// Ends intake, gives back what was not handed over, waits a bounded time for the settlement of what was, and
    /// closes the connection. Afterwards [`Queue::receive`] says [`Error::Closed`]. A second call does nothing.
    async fn close(&self);
}
