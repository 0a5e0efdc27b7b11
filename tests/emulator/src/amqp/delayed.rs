//! What a fault holds back, until it is time.

use tokio::time::Instant;

use super::link::Node;

/// What a fault can hold back.
#[derive(Debug)]
pub(crate) enum Late {
    /// A frame body for a channel.
    Frame(u16, Vec<u8>),
    /// An answer to a request.
    Answer(LateAnswer),
}

/// Something that a fault holds back.
#[derive(Debug)]
pub(crate) struct Delayed {
    pub(crate) at: Instant,
    pub(crate) what: Late,
}

/// An encoded answer on its way to a link.
#[derive(Debug)]
pub(crate) struct LateAnswer {
    pub(super) channel: u16,
    pub(super) node: Node,
    pub(super) reply_to: Option<String>,
    pub(super) bytes: Vec<u8>,
}
