//! What reads bytes of others, without the way on which they come: for fuzzing, and for tests with bytes that no
//! service sends.
//!
//! Nothing of the product calls it. Each part lies beside what it opens, and calls what the product calls.

pub use crate::{dataverse::fuzz as dataverse, graph::fuzz as graph, identity::fuzz as token};
