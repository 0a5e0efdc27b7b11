//! What strangers send, answer, hold open and put into words, against the worker's real binary.

mod bounds;
mod broker;
mod doors;
mod front;
mod graph;
mod mutation;
mod ways;
mod words;

use tests::{
    PATIENCE,
    quick::{QUICK, renamed as change, user, world},
};

const MEGABYTE: u64 = 1 << 20;
