//! The wall between the stream and the protocol library: every frame is looked at before the library sees it.
//!
//! The library trusts its peer. It decodes performatives by recursion, takes a frame shorter than its head for an
//! impossibility, and keeps whatever it is sent. So what comes in is cut into frames here, and a frame with which
//! something is wrong ends the connection with words instead of this process. The parts are [`Frame`], which knows
//! what a sound frame is, and [`Ledger`], which knows what we asked for.
//!
//! *What a transfer carries goes past the library.* It would search every message for sections, byte by byte, and copy
//! it twice, to hand over what [`super::wire`] reads itself. So a message stays on the [`Shelf`] of its link, and the
//! library is given its number in its place. It also takes messages of any length for short ones: the largest that the
//! service announces is no limit for us, because a message grows in the queue, by what the service writes on it and by
//! a dead letter's reason. Our own limit, [`LONGEST_MESSAGE`], stands. On our sending links the announcement is obeyed.

mod breach;
mod frame;
mod ledger;
mod performative;
mod shelf;
#[cfg(test)]
mod tests;

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

pub(super) use self::{
    breach::{Breach, LARGEST_FRAME},
    shelf::{Numbered, Shelf, Shelves},
};
use self::{frame::Frame, ledger::Ledger};

/// Room for what comes, made when less than [`ROOM`] is left.
const PIECE: usize = 64 * 1024;
const ROOM: usize = 8 * 1024;

/// What came in, frame by frame, and what of it has passed.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// What came and is no whole frame yet.
    incoming: BytesMut,
    /// What has passed, for the library to read.
    passed: BytesMut,
    ledger: Ledger,
}

impl Examined {
    /// Nothing yet. Messages are kept on these shelves.
    pub(super) fn new(shelves: Shelves) -> Self {
        Self { ledger: Ledger::new(shelves), ..Self::default() }
    }

    /// Takes a piece of the stream.
    pub(super) fn came(&mut self, piece: &[u8]) -> Result<(), Breach> {
        self.incoming.extend_from_slice(piece);
        self.examine()
    }

    /// Learns what we ask for, which decides what may come.
    pub(super) fn sent(&mut self, piece: &[u8]) {
        self.ledger.sent(piece);
    }

    /// What has passed.
    pub(super) fn take(&mut self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.passed.split());
    }

    /// Lets whole frames pass.
    fn examine(&mut self) -> Result<(), Breach> {
        while let Some(head) = self.incoming.first_chunk::<8>() {
            if head.starts_with(b"AMQP") {
                self.passed.extend_from_slice(head);
                self.incoming.advance(8);
                continue;
            }
            let Some(frame) = Frame::first(&self.incoming)? else { break };
            frame.pass(&mut self.ledger, &mut self.passed)?;
            let size = frame.size;
            self.incoming.advance(size);
        }
        // A length that is impossible is not waited for.
        match self.incoming.first_chunk::<4>() {
            Some(length) if length != b"AMQP" => frame::size(*length).map(drop),
            _ => Ok(()),
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.passed.len().min(buf.remaining());
        buf.put_slice(&self.passed[..count]);
        self.passed.advance(count);
    }
}

/// A stream on which nothing passes inwards that the library should not see.
#[derive(Debug)]
pub(super) struct Wall<S> {
    stream: S,
    /// For messages: who is on the other side.
    host: Box<str>,
    examined: Examined,
    breach: Option<Breach>,
}

impl<S> Wall<S> {
    pub(super) fn new(stream: S, host: &str, shelves: Shelves) -> Self {
        Self { stream, host: host.into(), examined: Examined::new(shelves), breach: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.examined.passed.is_empty() {
            if let Some(breach) = &this.breach {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, breach.clone())));
            }
            if this.examined.incoming.spare_capacity_mut().len() < ROOM {
                this.examined.incoming.reserve(PIECE);
            }
            let mut reading = pin!(this.stream.read_buf(&mut this.examined.incoming));
            if ready!(reading.as_mut().poll(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Err(breach) = this.examined.examine() {
                tracing::warn!(host = %this.host, sent = %breach,
                    "service bus does not keep to the protocol; the connection is given up");
                this.breach = Some(breach);
            }
        }
        this.examined.give(buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        // What we ask for decides what may come.
        self.examined.sent(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
