//! The tables that exist.

mod business;
mod definition;
mod platform;
mod registration;

pub(crate) use definition::{Collection, Column, Kind, Setting, Table};

static TABLES: [Table; 12] = [
    business::CONTACT,
    business::EXTERNAL_IDENTITY,
    platform::SYSTEM_USER,
    platform::ROLE,
    platform::ORGANIZATION,
    platform::SOLUTION,
    platform::ASYNC_OPERATION,
    registration::SERVICE_ENDPOINT,
    registration::SDK_MESSAGE,
    registration::SDK_MESSAGE_FILTER,
    registration::STEP,
    registration::IMAGE,
];

/// All tables.
pub(crate) fn tables() -> &'static [Table] {
    &TABLES
}

/// The table of a logical name.
pub(crate) fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The table of an entity set.
pub(crate) fn by_set(set: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.set == set)
}
