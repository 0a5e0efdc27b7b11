//! What an organization is.

use uuid::Uuid;

use super::pipeline;

/// What the functions say about an organization.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// What the messages of its pipeline say too.
    pub(crate) pipeline: pipeline::Facts,
    pub(crate) friendly_name: String,
    /// `Customer`, `CustomerTest` and so on.
    pub(crate) kind: String,
    pub(crate) environment: Uuid,
    pub(crate) tenant: Uuid,
}
