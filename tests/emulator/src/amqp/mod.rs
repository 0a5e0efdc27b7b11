//! The broker on the wire: an AMQP 1.0 server of our own over the `serde_amqp` codec.
//!
//! From the outside in: [`listener`] takes connections, [`sasl`] greets them, [`connection`] runs one,
//! `session` and `link` keep its books, and the remaining modules handle one kind of frame or node each.

pub(crate) mod attach;
pub(crate) mod cbs;
pub(crate) mod condition;
pub(crate) mod connection;
pub(crate) mod delayed;
pub(crate) mod disposition;
pub(crate) mod ended;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod held;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod management;
pub(crate) mod message;
pub(crate) mod outgoing;
pub(crate) mod patience;
pub(crate) mod pending;
pub(crate) mod reply;
pub(crate) mod rewind;
pub(crate) mod sasl;
pub(crate) mod session;
pub(crate) mod span;
pub(crate) mod transfer;
pub(crate) mod value;
pub(crate) mod websocket;
