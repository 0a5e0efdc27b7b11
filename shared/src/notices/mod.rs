//! When a person is told something, and what: the rules of Prometheus' Alertmanager, for one channel.
//!
//! Who watches brings what is the case now, as [`Observation`]s, and asks what is to be sent. A [`NoticeDesk`] waits for what
//! belongs together (`group_wait`), tells of changes no more often than `group_interval`, repeats what stays as it is after
//! `repeat_interval`, and tells the end of what it has told the beginning of. It keeps a state and no queue: what could not be
//! sent is not told later as it was, but as it is then, so that no flood and no channel that is away makes it grow.

mod budget;
mod desk;
mod digest;
mod group;
mod letters;
mod notice;
mod saved;
#[cfg(test)]
mod tests;

pub use self::{
    budget::NoticeBudget,
    desk::{DeskEnd, Due, NoticeDesk, NoticeFilter},
    digest::{DailyDigest, DigestTeller},
    letters::LetterTally,
    notice::{
        GroupKey, ItemState, Notice, NoticeItem, NoticeKey, NoticeState, NoticeTiming, NoticeView,
        Observation, Topic, Urgency,
    },
    saved::{SavedDesk, SavedEntry, SavedGroup},
};
