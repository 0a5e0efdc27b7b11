//! Whether one person, program or run blanks or rewrites the same property of too many users: then what it changes further
//! is held aside until somebody has decided about it.
//!
//! Changes are counted in streams: by who made them, by the property, and apart for values that are blanked and values that are
//! written. A stream in which more users than allowed are changed within the window is held; everybody else's changes and
//! all other properties flow. Long before that, a stream is told from the changes of people who wait for them, which come first.
//! Times are those at which originals reached the queue, never those of handling: a backlog that is
//! worked off in minutes was made over hours, and what comes again counts where it counted before.

mod stream;
mod streams;
mod survey;
#[cfg(test)]
mod tests;
mod windows;

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

pub use self::{
    stream::{Author, ChangeKind, Stream},
    streams::HeldStream,
    survey::{Survey, SurveyBounds, SurveyQuestion},
};
use self::{streams::Streams, windows::Windows};
use crate::{ids::UserId, patch::UserPatch, priority::Priority, property::Property};

/// How many users are too many, and whom it does not concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MassChangePolicy {
    /// Users of whom one stream may change its property within the window; `None` if nothing is held.
    pub users: Option<NonZeroU32>,
    /// The window.
    pub window: Duration,
    /// Users of Dataverse whose changes are not counted.
    pub exempt: Vec<Uuid>,
    /// Properties that are the same for everybody, so that they tell nothing of who changes them.
    pub constants: Vec<Property>,
}

impl Default for MassChangePolicy {
    /// What the file of default settings says: nothing is held, and what could be is counted.
    fn default() -> Self {
        Self { users: None, window: Duration::from_mins(10), exempt: Vec::new(), constants: Vec::new() }
    }
}

/// What was decided about a message before, as it tells itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PriorDecision {
    /// Nothing.
    #[default]
    New,
    /// It was held aside for these streams, and nobody has decided about it.
    HeldAside(Box<[Stream]>),
    /// It was let through then, and with it all further changes of these streams.
    Approved {
        /// When the approved copy reached the queue.
        at: Timestamp,
        /// Not only this message.
        streams: Box<[Stream]>,
    },
}

/// Where a message comes from, as far as its changes are counted by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Who made its changes.
    pub author: Author,
    /// What was decided about it.
    pub standing: PriorDecision,
}

impl Provenance {
    /// A message about which nothing was decided.
    #[must_use]
    pub const fn of(author: Author) -> Self {
        Self { author, standing: PriorDecision::New }
    }
}

/// Users of one stream within a window above which its changes come after those of others: what the write quota of Graph lets
/// through in a second.
const BULK: usize = 20;
/// The same within [`AT_ONCE`]: more contacts than a person opens, edits and saves in that time.
const FEW: usize = 3;
const AT_ONCE: Duration = Duration::from_secs(1);
/// Users who are remembered for that. With fewer than there are, changes come first that need not.
const USERS_AT_ONCE: usize = 20_000;

/// What becomes of the writes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screened {
    /// None is made: the message is held aside for these streams.
    HeldAside(Box<[Stream]>),
    /// They are made, and are waited for like this.
    Through(Priority),
}

/// Counts, and knows what is held.
#[derive(Debug)]
pub struct MassChange {
    policy: MassChangePolicy,
    windows: Windows,
    at_once: Windows,
    streams: Streams,
}

impl MassChange {
    /// One that has counted nothing.
    #[must_use]
    pub fn new(policy: MassChangePolicy) -> Self {
        let (windows, streams) = (Windows::new(policy.window), Streams::new(policy.window));
        Self { policy, windows, at_once: Windows::bounded(AT_ONCE, USERS_AT_ONCE), streams }
    }

    /// Whether the writes of a message may be made; then they are counted. `enqueued` is when its original reached the queue.
    ///
    /// A message is judged as a whole: with one property that is held, all of it waits.
    pub fn judge<'w>(
        &mut self,
        provenance: &Provenance,
        writes: impl IntoIterator<Item = (UserId, &'w UserPatch)>,
        enqueued: Timestamp,
    ) -> Screened {
        match &provenance.standing {
            PriorDecision::Approved { at, streams } => {
                for stream in streams {
                    self.streams.approve(stream, *at);
                }
                return Screened::Through(Priority::Bulk);
            }
            PriorDecision::HeldAside(streams) => {
                for stream in streams {
                    self.streams.hold(stream, enqueued);
                }
                return Screened::HeldAside(streams.clone());
            }
            PriorDecision::New => {}
        }
        if matches!(provenance.author, Author::User(user) if self.policy.exempt.contains(&user)) {
            return Screened::Through(Priority::Live);
        }
        let mut touched = self.touched(provenance.author, writes);
        let mut is_bulk = false;
        if let Some(most) = self.policy.users {
            let before = touched.len();
            touched.retain(|stream, _| !self.streams.is_approved(stream, enqueued));
            is_bulk = touched.len() < before;
            let too_many = self.too_many(&touched, most, enqueued);
            if !too_many.is_empty() {
                for stream in &too_many {
                    self.streams.hold(stream, enqueued);
                }
                return Screened::HeldAside(too_many.into());
            }
        }
        for (stream, users) in touched {
            is_bulk |= self.windows.count(stream.clone(), &users, enqueued) > BULK;
            // What is a bulk by the window already is counted once, not twice: in a flood that is nearly everything.
            is_bulk = is_bulk || self.at_once.count(stream, &users, enqueued) > FEW;
        }
        // Whoever is not named may be everybody.
        let is_bulk = is_bulk && provenance.author != Author::Unknown;
        Screened::Through(if is_bulk { Priority::Bulk } else { Priority::Live })
    }

    /// What copies say that were seen in a part of the queue: these streams are held.
    pub fn seen(&mut self, held: impl IntoIterator<Item = HeldStream>) {
        self.streams.seen(held);
    }

    /// What copies in the queue say is held, by a look at all of it that began at this [`MassChange::mark`]. Of a stream that it
    /// did not find, nothing waits any more.
    pub fn found(&mut self, held: impl IntoIterator<Item = HeldStream>, mark: u64) {
        self.streams.found(held, mark);
    }

    /// A point in time for [`MassChange::found`].
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.streams.mark()
    }

    /// The streams that are held now.
    pub fn held(&self) -> impl Iterator<Item = HeldStream> {
        self.streams.all()
    }

    /// The most users of one stream that were changed within a window, since the start.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.windows.peak()
    }

    /// What is held, and when.
    #[must_use]
    pub fn policy(&self) -> &MassChangePolicy {
        &self.policy
    }

    /// The users of each stream that writes touch, sorted, each once.
    fn touched<'w>(
        &self,
        author: Author,
        writes: impl IntoIterator<Item = (UserId, &'w UserPatch)>,
    ) -> BTreeMap<Stream, Vec<UserId>> {
        let mut touched: BTreeMap<Stream, Vec<UserId>> = BTreeMap::new();
        for (user, patch) in writes {
            for (property, value) in
                patch.iter().filter(|(property, _)| !self.policy.constants.contains(property))
            {
                let stream = Stream { author, property: property.clone(), kind: ChangeKind::of(value) };
                touched.entry(stream).or_default().push(user);
            }
        }
        for users in touched.values_mut() {
            users.sort_unstable();
            users.dedup();
        }
        touched
    }

    fn too_many(
        &mut self,
        touched: &BTreeMap<Stream, Vec<UserId>>,
        most: NonZeroU32,
        enqueued: Timestamp,
    ) -> Vec<Stream> {
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        let mut held = Vec::new();
        for (stream, users) in touched {
            let is_held = self.streams.is_held(stream, enqueued);
            if is_held || self.windows.with(stream, users, enqueued) > most {
                held.push(stream.clone());
            }
        }
        held
    }
}
