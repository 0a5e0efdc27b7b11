//! How many messages there are: what is read, what is believed, and what is shown of it.

mod admin;
mod reading;
mod status;
