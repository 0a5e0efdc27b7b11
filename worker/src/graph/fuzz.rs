//! Answers of Graph from their bytes.

use shared::{
    patch::UserWrite,
    reconcile::{Body, Current, ReadPolicy},
};

use super::{
    GraphRefusal,
    wire::{self, Head},
};

/// What a body says under a status, beside headers that say no more than the id of the request.
#[must_use]
pub fn answer(
    status: u16,
    request_id: Option<&str>,
    content_type: Option<&str>,
    body: &[u8],
) -> GraphRefusal {
    wire::answer(Head { status, request_id, content_type, retry_after: None }, body)
}

/// Whether a body under a status says that the write was made.
#[must_use]
pub fn is_written(status: u16, request_id: Option<&str>, body: &[u8]) -> bool {
    wire::is_written(Head { status, request_id, ..Head::default() }, body)
}

/// A user who was looked at before a write.
#[must_use]
pub fn current(body: &[u8], write: &UserWrite, reading: &ReadPolicy) -> Option<Current> {
    wire::current(body, write, reading)
}

/// The body of a PATCH.
#[must_use]
pub fn patch(body: &Body) -> Vec<u8> {
    serde_json::to_vec(&wire::Patch(body)).unwrap_or_default()
}
