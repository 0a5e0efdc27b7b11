//! The part of `[filter]` that is about messages: whose count, and which changes of them.

use shared::{
    ids::OrganizationId,
    plan::{ChangeFilter, Requirement},
};
use uuid::Uuid;

use super::reader::{Reader, one_of};

/// Greatest depth that anybody could mean. Dataverse itself ends chains of changes far below it.
const DEEPEST: usize = 1_000;

pub(super) fn filter(r: &Reader<'_>) -> Option<ChangeFilter> {
    let names = ChangeFilter::OPERATIONS.map(|(name, _)| name);
    let by_name = |text: &str| ChangeFilter::OPERATIONS.into_iter().find(|(name, _)| *name == text);
    let known = one_of(&names).replacen("must be", "must be a list of", 1);
    let operations = list(r, "filter.operations", |text| Some(by_name(text)?.1), &known);
    let ids = "must be a list of ids of Dataverse users (GUIDs in quotes)";
    let initiating_users = list(r, "filter.initiating_users", guid, ids);
    let conditions = "must be a list of conditions such as \"statecode = 0\" or \"new_kind = 1 | 2\"";
    let require = list(r, "filter.require", Requirement::parse, conditions);
    let max_depth = r.section(|r| r.count("filter.max_depth", 0, DEEPEST));
    let operations = operations?;
    if operations.is_empty() {
        return r.wrong("filter.operations", "names none, so nothing would ever be written");
    }
    Some(ChangeFilter {
        operations,
        initiating_users: initiating_users?,
        max_depth: u32::try_from(max_depth?).unwrap_or(u32::MAX),
        require: require?,
    })
}

pub(super) fn organizations(r: &Reader<'_>) -> Option<Vec<OrganizationId>> {
    let what = "must be a list of organization ids (GUIDs in quotes)";
    list(r, "filter.organizations", |text| guid(text).map(OrganizationId), what)
}

pub(super) fn guid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

/// A list of texts, each of which can be read; else `what` is noted, which says how the list must look.
pub(super) fn list<T>(
    r: &Reader<'_>,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
    what: &str,
) -> Option<Vec<T>> {
    let values = r.value(key)?.as_array()?;
    let read: Option<Vec<_>> = values.iter().map(|value| read(value.as_str()?.trim())).collect();
    read.or_else(|| r.wrong(key, what))
}
