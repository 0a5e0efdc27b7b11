//! What goes along with a row of the registration that is deleted.

use uuid::Uuid;

use super::refuse;
use crate::dataverse::{
    pipeline::columns::{ENDPOINT, IMAGE, JOB, STEP, children, choice},
    refusal::Refusal,
    value::Tables,
};

/// Whether a row may be deleted, and which other rows are deleted with it, children first: an endpoint takes its steps
/// along, and a step its images.
pub fn check_delete(tables: &Tables, table: &str, id: Uuid) -> Result<Vec<(&'static str, Uuid)>, Refusal> {
    match table {
        ENDPOINT => Ok(children(tables, STEP, "eventhandler", id)
            .flat_map(|(step, _)| images(tables, step).chain([(STEP, step)]))
            .collect()),
        STEP => Ok(images(tables, id).collect()),
        JOB => {
            let row = tables.get(JOB).and_then(|rows| rows.get(&id));
            if row.is_some_and(|row| choice(row, "statecode") != Some(3)) {
                return Err(refuse(0x8004_416a, "A system job can be deleted only when it is completed."));
            }
            Ok(Vec::new())
        }
        _ => Ok(Vec::new()),
    }
}

fn images(tables: &Tables, step: Uuid) -> impl Iterator<Item = (&'static str, Uuid)> {
    children(tables, IMAGE, "sdkmessageprocessingstepid", step).map(|(image, _)| (IMAGE, image))
}
