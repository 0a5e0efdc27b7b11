//! Answers of Dataverse from their bytes.

use std::collections::BTreeSet;

use shared::ids::OrganizationId;
use uuid::Uuid;

use super::{
    ContextWriter,
    answer::unpack,
    challenge::Challenge,
    metadata::Column,
    refusal::{DataverseRefusal, Head},
};

/// All that is told of a refusal; `None` if it is not Dataverse's.
#[must_use]
pub fn refusal(status: u16, body: &[u8]) -> Option<String> {
    let refusal = DataverseRefusal::read(&Head { status, ..Head::default() }, body)?;
    Some(format!("{refusal} {} {}", refusal.words().unwrap_or_default(), refusal.remedy()))
}

/// What a compressed body holds, up to so many bytes.
#[must_use]
pub fn unpacked(body: &[u8], longest: usize) -> Option<Vec<u8>> {
    unpack(body, longest)
}

/// The tenant that a challenge names.
#[must_use]
pub fn tenant(header: &str) -> Option<Box<str>> {
    Challenge::read(header).tenant
}

/// The message that is made of a row, if one can be made: a text, a choice, a lookup and a moment.
#[must_use]
pub fn message(row: &[u8]) -> Option<Vec<u8>> {
    const COLUMNS: [(&str, &str); 4] =
        [("firstname", "String"), ("statecode", "State"), ("ownerid", "Owner"), ("birthdate", "DateTime")];
    let row = serde_json::from_slice(row).ok()?;
    let known = COLUMNS.map(|(name, kind)| Column {
        logical_name: name.into(),
        attribute_type: kind.into(),
        is_secured: None,
        is_valid_for_read: None,
    });
    let needed: BTreeSet<_> = COLUMNS.into_iter().map(|(name, _)| name).collect();
    ContextWriter::new(OrganizationId(Uuid::from_u128(1)), &needed, &known).ok()?.body(&row).ok()
}
