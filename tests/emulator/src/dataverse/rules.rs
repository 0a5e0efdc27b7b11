//! Rules of the registration tables: none yet.

use uuid::Uuid;

use super::{
    refusal::Refusal,
    value::{Row, Tables},
};

pub(crate) fn check_write(_: &Tables, _: &str, _: Uuid, _: Option<&Row>, _: &Row) -> Result<(), Refusal> {
    Ok(())
}

pub(crate) fn check_delete(_: &Tables, _: &str, _: Uuid) -> Result<Vec<(&'static str, Uuid)>, Refusal> {
    Ok(Vec::new())
}
