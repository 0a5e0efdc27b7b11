//! What strangers send, answer and hold open, against the worker's real binary.

mod broker;
