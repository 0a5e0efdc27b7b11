//! Where the queue is, how to be let in, and how patient to be.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::retry::Ladder;

use crate::{
    connection_string::{ConnectionString, NamespaceEndpoint},
    times::Times,
    token::TokenSource,
    transport::Transport,
};

/// How patient the client is.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For a connection, with everything needed until it can be used, and for each link.
    pub connect: Duration,
    /// For an answer to a request or to a message sent.
    pub request: Duration,
    /// For what is in the engine's hands to be settled when closing, and again for each good-bye to the service.
    pub close: Duration,
    /// Waits before another attempt to get the receiving link back.
    pub reconnect: Ladder,
}

/// The first wait is hardly noticed; the longest is what an outage ends with at most.
const RECONNECT: Ladder = Ladder::fixed(Duration::from_millis(100), Duration::from_secs(30));

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            request: Duration::from_secs(30),
            close: Duration::from_secs(5),
            reconnect: RECONNECT,
        }
    }
}

/// Where the queue is and how to be let in.
#[derive(Clone)]
pub struct Settings {
    /// The namespace.
    pub endpoint: NamespaceEndpoint,
    /// What carries the protocol.
    pub way: Transport,
    /// Where to receive: a queue, a subscription as `topic/Subscriptions/name`, or a sub-queue of either.
    pub entity: Box<str>,
    /// Where to send: the queue, or the topic of the subscription.
    pub target: Box<str>,
    /// Where tokens come from.
    pub tokens: Arc<dyn TokenSource>,
    /// The wall clock, for the ends of tokens.
    pub clock: fn() -> Timestamp,
    /// What is known of the clock of the service and of the length of locks; messages add to it.
    pub times: Arc<Times>,
    /// A PEM file with certificates to trust besides those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// How patient to be.
    pub timing: Timing,
}

impl Settings {
    /// Settings for the queue `entity` of a connection string.
    #[must_use]
    pub fn from_connection_string(parsed: &ConnectionString, entity: &str, clock: fn() -> Timestamp) -> Self {
        Self::new(parsed.endpoint.clone(), parsed.credential.source(), entity, clock)
    }

    /// Settings for the queue `entity`, by the usual way and with the usual patience.
    #[must_use]
    pub fn new(
        endpoint: NamespaceEndpoint,
        tokens: Arc<dyn TokenSource>,
        entity: &str,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            endpoint,
            way: Transport::default(),
            entity: entity.into(),
            target: entity.into(),
            tokens,
            clock,
            times: Arc::default(),
            ca_file: None,
            timing: Timing::default(),
        }
    }

    /// The same for another queue or topic of the namespace, which is received from and sent to alike.
    #[must_use]
    pub fn towards(mut self, name: &str) -> Self {
        (self.entity, self.target) = (name.into(), name.into());
        self
    }

    /// The same for the dead-letter queue beneath; what is sent still goes where it went.
    #[must_use]
    pub fn dead_letters(mut self) -> Self {
        self.entity = format!("{}/$DeadLetterQueue", self.entity).into();
        self
    }
}
