//! The pure core of contactsync: from the bytes of a message to the write that Graph should get, and from
//! what Graph answered to what becomes of the message.
//!
//! Nothing here does I/O, spawns, sleeps, logs or reads a clock; the manifest proves it. The modules stand
//! in the order in which a message meets them.

pub mod decode;

pub mod link_watch;
pub mod plan;

pub mod engine;
pub mod lanes;
pub mod mass_change;

pub mod lease;

pub mod reconcile;
pub mod reset;
pub mod second_look;

pub mod comparison;
pub mod drift;

pub mod notices;

pub mod gate;
pub mod outcome;
pub mod rate_limiter;

pub mod admission;
pub mod change;
pub mod class;
pub mod hash_key;
pub mod identities;
pub mod ids;
pub mod lists;
pub mod lww_register;
pub mod mapping;
pub mod mark;
pub mod monotonic_time;
pub mod patch;
pub mod priority;
pub mod property;
pub mod reason;
pub mod retry;
pub mod retry_after;
pub mod shown;
pub mod step;
pub mod target;
pub mod utf16;
pub mod version;
