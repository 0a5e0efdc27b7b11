//! The worker around the pure core and the Service Bus client: everything that talks to the outside.
//!
//! From the top: [`cli`] and [`commands`] are the way in; [`operate`] is what people do with a queue; [`run`] is
//! the path of a message; [`preview`] says what would become of one, and [`envelope`] what it tells of its own past. [`graph`] and [`identity`] each know one thing outside.

pub mod cli;
pub mod commands;

pub mod operate;
pub mod run;

pub mod envelope;
pub mod preview;

pub mod graph;
pub mod identity;
pub mod settings;
pub mod status_page;
pub mod telemetry;

pub mod duration;
#[doc(hidden)]
pub mod fuzz;
pub mod http_client;
pub mod private_file;
pub mod text_file;
