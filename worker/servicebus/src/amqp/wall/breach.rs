//! What ends a connection, and the bounds that it says were broken.

use crate::message::Damage;

/// Largest frame that we announce and take.
pub(in crate::amqp) const LARGEST_FRAME: u32 = 256 * 1024;
/// Longest message that we take, in bytes. Ordinary queues hold none above 256 KB, or 1 MB.
pub(super) const LONGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// What is wrong with the stream. Its text goes to the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::amqp) enum Breach {
    #[error("a frame of {0} bytes, where frames have 8 to {largest}", largest = LARGEST_FRAME)]
    Size(u32),
    #[error("a frame whose body begins at byte {0}, outside of the frame")]
    Offset(usize),
    #[error("a frame that {0}")]
    Damaged(Damage),
    #[error("a message that was not asked for: more than the link has credit for")]
    Uncalled,
    #[error("a message of more than {longest} bytes, or one that does not end", longest = LONGEST_MESSAGE)]
    Endless,
    #[error("one disposition for {0} messages")]
    Disposition(u32),
}
