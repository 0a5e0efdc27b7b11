//! Lifts the limit on received messages that the protocol library would impose.
//!
//! The service announces the largest message of the queue on both kinds of link. The library then refuses to
//! *receive* anything larger, and closes the link over it. But a message grows in the queue: by what the service
//! writes on it, by a dead letter's reason. One that was just within the limit when it was sent would so close
//! the link each time it comes, taking with it whatever else was on the way. What the service sends has passed
//! its own limits, so we do not check it again: the announcement is overwritten as it streams past, bytes for
//! bytes, where the service is the sender. On our sending links it stands and is obeyed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose incoming `attach` frames name no limit.
#[derive(Debug)]
pub(super) struct Lifted<S> {
    stream: S,
    scanner: Scanner,
}

impl<S> Lifted<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, scanner: Scanner::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lifted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.scanner.scan(&mut buf.filled_mut()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lifted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The code of `attach`.
const ATTACH: u8 = 0x12;
/// Place of `role` in `attach`.
const ROLE: u32 = 2;
/// Place of `max-message-size` in `attach`.
const MAX_MESSAGE_SIZE: u32 = 10;

/// Follows the frames, in pieces of any size. Frames other than `attach` are skipped by their length.
#[derive(Debug, Default)]
struct Scanner {
    at: At,
    /// Bytes left in the frame.
    left: u32,
    /// Bytes collected of a number, and the number.
    have: u32,
    number: u32,
    /// The field that is being read, and how many values make it up still.
    field: u32,
    values: u32,
    from_sender: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    /// The length of the next frame.
    #[default]
    Length,
    /// The rest of the frame, of no interest.
    Rest,
    /// The byte of the frame header with this number; the first is the offset of the body.
    Header(u8),
    /// The byte of the descriptor with this number.
    Descriptor(u8),
    /// What kind of list it is.
    List,
    /// So many bytes of the list's size and count.
    ListHead(u8),
    /// What kind of value comes next.
    Constructor,
    /// So many bytes of a value.
    Value(u32),
    /// So many more bytes of the length of a value.
    ValueLength(u8),
    /// The role as a byte.
    Role,
    /// So many bytes of the limit.
    Limit(u8),
}

impl Scanner {
    fn scan(&mut self, bytes: &mut [u8]) {
        let mut next = 0;
        while let Some(byte) = bytes.get_mut(next) {
            if let At::Rest = self.at {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let skipped = left.min(bytes.len() - next);
                self.left -= u32::try_from(skipped).unwrap_or(self.left);
                next += skipped;
            } else {
                let in_frame = !matches!(self.at, At::Length);
                self.at = self.step(byte);
                self.left = self.left.saturating_sub(u32::from(in_frame));
                next += 1;
            }
            if self.left == 0 && !matches!(self.at, At::Length) {
                self.at = At::Length;
                self.number = 0;
            }
        }
    }

    fn step(&mut self, byte: &mut u8) -> At {
        match self.at {
            At::Length => self.length(*byte),
            At::Header(0) if *byte != 2 => At::Rest,
            At::Header(3) => At::Descriptor(0),
            At::Header(number) => At::Header(number + 1),
            At::Descriptor(number) => match (number, *byte) {
                (0, 0x00) | (1, 0x53) => At::Descriptor(number + 1),
                (2, ATTACH) => At::List,
                _ => At::Rest,
            },
            At::List => match *byte {
                0xc0 => At::ListHead(2),
                0xd0 => At::ListHead(8),
                _ => At::Rest,
            },
            At::ListHead(1) => {
                (self.field, self.values, self.from_sender) = (0, 1, false);
                At::Constructor
            }
            At::ListHead(left) => At::ListHead(left - 1),
            At::Constructor => self.constructor(*byte),
            At::ValueLength(left) => {
                self.number = self.number << 8 | u32::from(*byte);
                if left > 1 { At::ValueLength(left - 1) } else { self.skip(self.number) }
            }
            At::Value(left) => self.skip(left - 1),
            At::Role => {
                self.from_sender = *byte == 0;
                self.value_ends()
            }
            At::Limit(left) => {
                *byte = 0xff;
                if left > 1 { At::Limit(left - 1) } else { At::Rest }
            }
            At::Rest => At::Rest,
        }
    }

    fn length(&mut self, byte: u8) -> At {
        self.number = self.number << 8 | u32::from(byte);
        self.have += 1;
        if self.have < 4 {
            return At::Length;
        }
        let length = std::mem::take(&mut self.number);
        self.have = 0;
        // Eight bytes that begin with "AMQP" are the protocol header, not a frame.
        if length.to_be_bytes() == *b"AMQP" {
            self.left = 4;
            return At::Rest;
        }
        self.left = length.saturating_sub(4);
        At::Header(0)
    }

    fn constructor(&mut self, code: u8) -> At {
        match (self.field, code) {
            (ROLE, 0x56) => return At::Role,
            (ROLE, 0x42) => self.from_sender = true,
            (MAX_MESSAGE_SIZE, 0x80) if self.from_sender => return At::Limit(8),
            // Anything shorter is no limit at all or one that nobody announces.
            (MAX_MESSAGE_SIZE, _) => return At::Rest,
            _ => {}
        }
        self.number = 0;
        match code >> 4 {
            // A described value: its descriptor and itself follow.
            0x0 => {
                self.values = self.values.saturating_add(1);
                At::Constructor
            }
            0x4 => self.value_ends(),
            width @ 0x5..=0x9 => At::Value(1 << (width - 5)),
            0xa | 0xc | 0xe => At::ValueLength(1),
            0xb | 0xd | 0xf => At::ValueLength(4),
            _ => At::Rest,
        }
    }

    fn skip(&mut self, bytes: u32) -> At {
        if bytes == 0 { self.value_ends() } else { At::Value(bytes) }
    }

    fn value_ends(&mut self) -> At {
        self.values -= 1;
        if self.values == 0 {
            self.field += 1;
            self.values = 1;
        }
        At::Constructor
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::definitions::{Handle, ReceiverSettleMode, Role, SenderSettleMode};
    use fe2o3_amqp_types::messaging::{Source, Target, TargetArchetype};
    use fe2o3_amqp_types::performatives::{Attach, Begin};
    use proptest::prelude::*;

    use super::*;

    fn frame(performative: &impl serde::Serialize) -> Vec<u8> {
        let body = serde_amqp::to_vec(performative).expect("encodes");
        let length = u32::try_from(body.len() + 8).expect("fits");
        [&length.to_be_bytes()[..], &[2, 0, 0, 1], &body].concat()
    }

    fn attach(role: Role, limit: Option<u64>, name: &str) -> Attach {
        let target = Target::builder().address("reply").build();
        Attach {
            name: name.to_owned(),
            handle: Handle(300),
            role,
            snd_settle_mode: SenderSettleMode::default(),
            rcv_settle_mode: ReceiverSettleMode::default(),
            source: Some(Box::new(Source::builder().address("contacts").build())),
            target: Some(Box::new(TargetArchetype::Target(target))),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: Some(0),
            max_message_size: limit,
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    fn begin() -> Begin {
        Begin {
            remote_channel: Some(1),
            next_outgoing_id: 0,
            incoming_window: 5_000,
            outgoing_window: 5_000,
            handle_max: Handle(255),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }
    }

    /// A conversation, and the same as it should come out.
    fn conversation(name: &str, limit: u64) -> (Vec<u8>, Vec<u8>) {
        let side = |receiving: Option<u64>| {
            [
                b"AMQP\x03\x01\x00\x00AMQP\x00\x01\x00\x00".to_vec(),
                vec![0, 0, 0, 8, 2, 0, 0, 0],
                frame(&begin()),
                frame(&attach(Role::Sender, receiving, name)),
                frame(&attach(Role::Receiver, Some(limit), name)),
                frame(&attach(Role::Sender, None, name)),
                frame(&attach(Role::Sender, receiving, name)),
            ]
            .concat()
        };
        (side(Some(limit)), side(Some(u64::MAX)))
    }

    proptest! {
        #[test]
        fn the_limit_is_lifted_where_the_service_sends_however_the_bytes_are_cut(
            name in "[a-z]{1,300}",
            limit in 256_u64..u64::MAX,
            cuts in proptest::collection::vec(1_usize..200, 1..50),
        ) {
            let (mut bytes, expected) = conversation(&name, limit);
            let mut scanner = Scanner::default();
            let mut rest = &mut bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, more) = rest.split_at_mut((*cut).min(rest.len()));
                scanner.scan(piece);
                rest = more;
            }
            prop_assert_eq!(bytes, expected);
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            Scanner::default().scan(&mut bytes);
        }

        #[test]
        fn no_attach_makes_it_panic(mut tail in proptest::collection::vec(any::<u8>(), 0..400)) {
            let length = u32::try_from(tail.len() + 12).expect("fits");
            let mut bytes = [&length.to_be_bytes()[..], &[2, 0, 0, 1, 0x00, 0x53, ATTACH, 0xc0]].concat();
            bytes.append(&mut tail);
            Scanner::default().scan(&mut bytes);
        }
    }
}
