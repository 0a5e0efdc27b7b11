//! Telling people that something is wrong, and that it is over.
//!
//! [`watch`] reads what the worker knows of itself anyway: checks and warnings of its health, dead letters, the queue. The
//! rules of when to tell what are `shared::notices`, one desk for each channel. [`composer`] puts a notice into words, and each
//! [`channel`] gives them its form. All of it runs in a task of its own, in which nothing waits for a channel, so that no channel
//! holds up a message, another channel, or the end of the worker.

mod channel;
mod composer;
mod delivery;
mod failure;
mod message;
mod run;
mod state_file;
mod watch;

pub(crate) use self::{
    channel::{Channel, ChannelTools},
    composer::Composer,
    delivery::try_once,
    run::{NotifyOptions, Notifying},
};
