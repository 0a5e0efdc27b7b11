//! The worker around the pure core and the Service Bus client: everything that talks to the outside.
//!
//! From the top: [`cli`] and [`commands`] are the way in; [`operate`] is what people do with a queue; [`run`] is
//! the path of a message; [`preview`] says what would become of one, and [`envelope`] what it tells of its own past.
//! [`graph`], [`dataverse`] and [`identity`] each know one thing outside. [`telemetry`] counts what happens, [`status_page`] shows
//! it to whoever asks, and [`notify`] tells people when something is wrong.

pub mod cli;
mod commands;

pub mod operate;
mod run;

mod envelope;
mod preview;

mod dataverse;
mod graph;
pub mod identity;
mod journal;
mod notify;
pub mod settings;
mod status_page;
pub mod telemetry;

mod duration;
#[doc(hidden)]
pub mod fuzz;
pub mod http_client;
mod private_file;
mod text_file;
