//! What happened to a contact, a user or the messages of a system job, by the journals of the replicas.
//!
//! [`Story::of_each`] reads every file twice: once to learn which messages and writes are meant, once to take what is told of
//! them. [`telling`] says it in words and in JSON.

mod event;
mod matching;
pub(crate) mod runbook;
mod story;
pub(crate) mod telling;
#[cfg(test)]
mod tests;

pub(crate) use self::story::Story;
