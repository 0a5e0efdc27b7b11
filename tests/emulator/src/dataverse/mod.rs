//! A local Dataverse.

pub mod pipeline;
pub mod refusal;
pub mod value;
pub mod written;
