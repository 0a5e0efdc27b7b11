//! What surrounds the pipeline: renewal of locks and settlement.

pub mod locks;
pub mod settling;
