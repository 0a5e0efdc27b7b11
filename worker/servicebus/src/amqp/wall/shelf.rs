//! Where messages wait that passed the wall, until the library has handed over that they came.
//!
//! The library does not carry what it must not decode. It gets the number of each message as if that were the
//! message, and [`Shelf::take`] gives the message for the number. A shelf lives as long as the link that takes from
//! it; what comes for a link that is gone is dropped.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use fe2o3_amqp_types::messaging::{Batch, Data};

/// The number of a message, as it comes out of the library: a section of bytes for each frame that brought the message,
/// of which only the last is not empty.
pub(in crate::amqp) type Numbered = Batch<Data>;

/// The messages of one link.
#[derive(Debug, Default)]
pub(in crate::amqp) struct Shelf(Mutex<Messages>);

#[derive(Debug, Default)]
struct Messages {
    last: u64,
    waiting: VecDeque<(u64, Bytes)>,
}

impl Shelf {
    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an encoded message and tells its number.
    pub(super) fn put(&self, message: Bytes) -> u64 {
        let mut messages = self.messages();
        messages.last += 1;
        let number = messages.last;
        messages.waiting.push_back((number, message));
        number
    }

    /// The encoded message as it was sent. The library hands over in the order of the link, so what is in front of it
    /// will not be asked for any more. `None` if it is not there, which a peer that keeps to the protocol cannot cause.
    pub(in crate::amqp) fn take(&self, number: Numbered) -> Option<Bytes> {
        let number: Vec<u8> =
            number.into_inner().into_iter().flat_map(|section| section.0.into_vec()).collect();
        let number = u64::from_be_bytes(number.try_into().ok()?);
        let mut messages = self.messages();
        while messages.waiting.front().is_some_and(|(first, _)| *first < number) {
            messages.waiting.pop_front();
        }
        messages.waiting.pop_front_if(|(first, _)| *first == number).map(|(_, message)| message)
    }
}

/// The shelves of the links that are about to be attached, by the names of the links.
#[derive(Clone, Debug, Default)]
pub(in crate::amqp) struct Shelves(Arc<Mutex<HashMap<Box<str>, Weak<Shelf>>>>);

impl Shelves {
    fn named(&self) -> MutexGuard<'_, HashMap<Box<str>, Weak<Shelf>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a shelf up for a link that will be attached under this name.
    pub(in crate::amqp) fn put_up(&self, link: &str) -> Arc<Shelf> {
        let fresh = Arc::new(Shelf::default());
        let mut named = self.named();
        // Those of links that were given up before they were attached.
        named.retain(|_, shelf| shelf.strong_count() > 0);
        named.insert(link.into(), Arc::downgrade(&fresh));
        fresh
    }

    /// The shelf of a link that is being attached.
    pub(super) fn of(&self, link: &str) -> Weak<Shelf> {
        self.named().remove(link).unwrap_or_default()
    }
}
