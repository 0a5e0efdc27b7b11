//! Deliberate breaches of the dialect, to prove that a compatibility suite notices them.

use clap::ValueEnum;

/// One rule of the dialect that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Breakage {
    /// Settlements are never confirmed.
    EchoWithheld,
    /// Settlements are confirmed with an unsettled disposition.
    EchoUnsettled,
    /// A successful dead-lettering is confirmed with an error.
    DeadLetterEchoError,
    /// Errors have two fields instead of three.
    TwoFieldErrors,
    /// Attach does not say how large a message may be.
    NoMaxMessageSize,
    /// The header of a message leaves out the delivery count.
    NoDeliveryCount,
    /// Delivery tags have four bytes.
    ShortTags,
    /// Delivery tags are in RFC byte order.
    TagOrder,
    /// Delivery numbers skip one each time.
    DeliveryGaps,
    /// Answers repeat the message id as a string, whatever its type was.
    CorrelationAsString,
    /// The lock of a session is announced as a timestamp.
    LockedUntilTimestamp,
    /// Senders get no credit.
    NoSenderCredit,
    /// Messages without an id stay without.
    NoMessageId,
    /// A released message counts as a failed delivery.
    ReleasedCounts,
}

/// The breach that is switched on, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) Option<Breakage>);

impl Broken {
    pub(crate) fn is(self, breakage: Breakage) -> bool {
        self.0 == Some(breakage)
    }
}
