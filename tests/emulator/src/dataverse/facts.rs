//! What an organization is.

use uuid::Uuid;

/// What the functions, and the messages of its pipeline, say about an organization.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) organization: Uuid,
    pub(crate) unique_name: String,
    pub(crate) friendly_name: String,
    /// `Customer`, `CustomerTest` and so on.
    pub(crate) kind: String,
    pub(crate) business_unit: Uuid,
    pub(crate) environment: Uuid,
    pub(crate) tenant: Uuid,
}
