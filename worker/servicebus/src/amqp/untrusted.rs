//! Everything that bytes from outside can reach, for whoever wants to try bytes: fuzzers and tests. Nothing here
//! panics, overflows a stack or takes more memory than the bytes are long, times a small number.

use bytes::Bytes;

use super::{
    rpc, session_queue,
    wall::{Examined, Shelves},
    wire,
};
use crate::message::{Message, Peeked};

/// A message as it comes over a link.
#[must_use]
pub fn message(encoded: &[u8]) -> Message {
    wire::Read::of(&Bytes::copy_from_slice(encoded)).message
}

/// A message as it is peeked at. Its number is 0 if it does not tell it.
#[must_use]
pub fn peeked(encoded: &[u8]) -> Peeked {
    wire::peeked(&Bytes::copy_from_slice(encoded))
}

/// The answer of a management node, read in all ways in which answers are read: how many messages a look has found
/// and how many locks were extended, or what is wrong with it.
pub fn reply(encoded: &[u8]) -> Result<(usize, usize), String> {
    let read = rpc::read_reply("reading", Bytes::copy_from_slice(encoded));
    let reply = read.map_err(|failure| failure.error.to_string())?;
    drop((session_queue::state("reading", &reply), session_queue::expiration("reading", &reply)));
    let messages = reply.get("messages").map_or(0, |entries| entries.items().count());
    Ok((messages, reply.get("expirations").map_or(0, super::scan::Encoded::timestamps)))
}

/// A stream of frames, in pieces of any size, as far as the protocol library would see it, and what ended it if
/// something did. What we send in between is seen too: credit depends on it.
#[must_use]
pub fn stream(pieces: &[Piece<'_>]) -> (Vec<u8>, Option<String>) {
    let mut examined = Examined::new(Shelves::default());
    let mut seen = Vec::new();
    for piece in pieces {
        let came = match piece {
            Piece::Received(bytes) => examined.came(bytes),
            Piece::Sent(bytes) => {
                examined.sent(bytes);
                continue;
            }
        };
        examined.take(&mut seen);
        if let Err(breach) = came {
            return (seen, Some(breach.to_string()));
        }
    }
    (seen, None)
}

/// A part of a conversation.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// From the service.
    Received(&'a [u8]),
    /// To the service.
    Sent(&'a [u8]),
}
