//! A local Dataverse.

pub mod refusal;
pub mod value;
pub mod written;
