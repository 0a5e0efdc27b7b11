//! How many messages there are: what is read, what is believed, and what is shown of it.

mod admin;
mod gauges;
mod pause;
mod reading;
mod status;
