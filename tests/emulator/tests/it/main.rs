//! The local Service Bus from the outside: the broker under random operations, and the dialect on the wire.

mod admin;
mod broker;
mod client;
mod dialect;
mod faults;
mod hostile;
mod properties;
mod rules;
mod session_faults;
mod session_laws;
mod sessions;
mod time;
mod tokens;
