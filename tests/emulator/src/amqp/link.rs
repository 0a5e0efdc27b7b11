//! The books of one link.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::broker::{Holder, Mode, Target};

/// A request/response node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Takes tokens.
    Cbs,
    /// Management of an entity or sub-queue.
    Management(Target),
}

/// A session as the link knows it that was given it. Whether it still holds it, only the broker knows.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) session: String,
    /// The link, as the broker knows it.
    pub(crate) holder: Holder,
}

/// A link on which messages are handed out.
#[derive(Clone, Debug)]
pub(crate) struct Receiving {
    pub(crate) target: Target,
    pub(crate) mode: Mode,
    /// The session that the link was given.
    pub(crate) held: Option<Held>,
    /// Nothing was ready at the last look, and the connection will be woken when that changes.
    pub(crate) idle: bool,
}

/// A link on which answers are sent.
#[derive(Clone, Debug)]
pub(crate) struct Answering {
    pub(crate) node: Node,
    /// The client's address for answers.
    pub(crate) reply_to: Option<String>,
    /// Encoded answers that wait for credit.
    pub(crate) waiting: VecDeque<Vec<u8>>,
}

/// What a link is for, as this server sees it.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Takes messages for an entity.
    Taking(Target),
    /// Hands out messages.
    Receiving(Receiving),
    /// Takes requests.
    Asking(Node),
    /// Sends answers.
    Answering(Answering),
}

/// A transfer that has not come in completely.
#[derive(Clone, Debug)]
pub(crate) struct Partial {
    pub(crate) delivery: u32,
    pub(crate) format: u32,
    pub(crate) settled: bool,
    /// How long it is so far. What goes beyond the limit is counted and not kept.
    pub(crate) size: u64,
    pub(crate) bytes: BytesMut,
}

/// A delivery that has come in completely.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) delivery: u32,
    pub(crate) format: u32,
    pub(crate) settled: bool,
    /// How long it is; more than `bytes` if it is too long.
    pub(crate) size: u64,
    pub(crate) bytes: Bytes,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) kind: Kind,
    /// Largest message in bytes.
    pub(crate) max_size: u64,
    pub(crate) credit: u32,
    pub(crate) delivery_count: u32,
    /// The client wants to be told when there is no more.
    pub(crate) drain: bool,
    pub(crate) partial: Option<Partial>,
    /// When something last happened on it.
    pub(crate) last_used: Instant,
}

impl Link {
    pub(crate) fn new(name: &str, address: &str, kind: Kind, max_size: u64) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            kind,
            max_size,
            credit: 0,
            delivery_count: 0,
            drain: false,
            partial: None,
            last_used: Instant::now(),
        }
    }

    /// Whether the client is the sender.
    pub(crate) fn takes(&self) -> bool {
        matches!(self.kind, Kind::Taking(_) | Kind::Asking(_))
    }

    /// The session that it was given, and where.
    pub(crate) fn held(&self) -> Option<(Target, &Held)> {
        match &self.kind {
            Kind::Receiving(receiving) => Some((receiving.target, receiving.held.as_ref()?)),
            Kind::Taking(_) | Kind::Asking(_) | Kind::Answering(_) => None,
        }
    }

    /// Whether it carries messages of an entity, as opposed to requests.
    pub(crate) fn is_data(&self) -> bool {
        self.entity().is_some()
    }

    /// The entity whose messages it carries.
    pub(crate) fn entity(&self) -> Option<Target> {
        match &self.kind {
            Kind::Taking(target) => Some(*target),
            Kind::Receiving(receiving) => Some(receiving.target),
            Kind::Asking(_) | Kind::Answering(_) => None,
        }
    }

    /// Notes that the link is in use.
    pub(crate) fn touch(&mut self) {
        self.last_used = Instant::now();
    }

    pub(crate) fn spend(&mut self) {
        self.credit = self.credit.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
    }
}
