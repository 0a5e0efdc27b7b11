//! The shell around the pure core: everything that talks to the outside.
//!
//! [`cli`] and [`commands`] are the way in; [`pipeline`] is the path of a message, with [`pool`] around it;
//! [`dead_letters`] and [`replay`] are for what fell out of it;
//! [`bus`], [`graph`] and [`identity`] each know one thing outside.

pub mod cli;
pub mod commands;

pub mod pipeline;
pub mod pool;
pub mod rehearsal;

pub mod dead_letters;
pub mod replay;

pub mod bus;
pub mod graph;
pub mod identity;

pub mod depth;
pub mod status;

pub mod check;
pub mod clock;
pub mod config;
#[doc(hidden)]
pub mod fuzz;
pub mod http_client;
pub mod private_file;
pub mod telemetry;
pub mod text_file;
pub mod times;
