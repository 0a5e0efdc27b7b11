//! A local Azure Service Bus, Microsoft Graph and Dataverse, faithful enough for Microsoft's own clients.
//!
//! It speaks only the wire and imports nothing of the product that it tests, so that it can disagree with it.
//! Start reading at [`bus`] (what a test starts), go on with [`broker`] (what a queue does, without input or
//! output) and end with [`amqp`] (how that looks on the wire).

pub mod broker;
pub mod bus;

pub mod access;
pub mod admin;
pub mod amqp;
pub mod breakage;
pub mod ca;
pub(crate) mod clock;
pub mod config;
mod duration;
pub mod faults;
mod handle;
pub mod hub;
pub mod journal;
pub mod listeners;
pub mod poster;
pub mod sas;
pub mod seed_file;
pub(crate) mod web;

pub mod dataverse;
pub mod graph;
