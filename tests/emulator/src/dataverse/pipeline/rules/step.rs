//! Steps: stage and mode, message and table, and where they post to.

use uuid::Uuid;

use super::{endpoint::posts_to_bus, invalid, one_of, refuse, require};
use crate::dataverse::{
    pipeline::columns::{
        ENDPOINT, FILTER, IMAGE, MESSAGE, STEP, children, choice, follow, lookup, text, truth,
    },
    refusal::Refusal,
    value::{Row, Tables, Value},
};

pub(super) fn check(tables: &Tables, id: Uuid, before: Option<&Row>, after: &Row) -> Result<(), Refusal> {
    require(after, STEP, &["name", "sdkmessageid", "stage", "mode"])?;
    if let Some(before) = before
        && before.get("ismanaged") == Some(&Value::Bool(true))
    {
        return Err(invalid("A Microsoft registered SDK message processing step cannot be modified."));
    }
    if !matches!(choice(after, "stage"), Some(10 | 20 | 40)) {
        return Err(refuse(
            0x8004_4184,
            "Only SdkMessageProcessingSteps in the predefined stages can be modified.",
        ));
    }
    one_of(choice(after, "mode"), "mode", &[0, 1])?;
    one_of(choice(after, "supporteddeployment"), "supporteddeployment", &[0, 1, 2])?;
    one_of(choice(after, "statecode"), "statecode", &[0, 1])?;
    if choice(after, "mode") == Some(1) && choice(after, "stage") != Some(40) {
        return Err(invalid("Asynchronous steps can only be registered in the post-operation stage."));
    }
    let Some(message) = follow(tables, after, "sdkmessageid", MESSAGE) else {
        return Err(missing(MESSAGE, lookup(after, "sdkmessageid")));
    };
    check_filter(tables, after)?;
    check_handler(tables, after)?;
    let message = text(message, "name").unwrap_or_default();
    // What the images say has to be true of the step that it becomes.
    for (_, image) in children(tables, IMAGE, "sdkmessageprocessingstepid", id) {
        super::image::check_against(image, message, choice(after, "stage"))?;
    }
    Ok(())
}

fn check_filter(tables: &Tables, step: &Row) -> Result<(), Refusal> {
    let Some(filter) = lookup(step, "sdkmessagefilterid") else { return Ok(()) };
    let Some(row) = tables.get(FILTER).and_then(|rows| rows.get(&filter)) else {
        return Err(missing(FILTER, Some(filter)));
    };
    let other =
        lookup(row, "sdkmessageid").is_some_and(|message| Some(message) != lookup(step, "sdkmessageid"));
    if other || truth(row, "iscustomprocessingstepallowed") == Some(false) {
        let words = "Custom SdkMessageProcessingStep is not allowed on the specified message and entity.";
        return Err(refuse(0x8004_4187, words));
    }
    Ok(())
}

fn check_handler(tables: &Tables, step: &Row) -> Result<(), Refusal> {
    let Some(handler) = lookup(step, "eventhandler") else {
        return Err(invalid("A step needs an event handler."));
    };
    let Some(endpoint) = tables.get(ENDPOINT).and_then(|rows| rows.get(&handler)) else {
        return Err(missing(ENDPOINT, Some(handler)));
    };
    if posts_to_bus(endpoint) && choice(step, "mode") != Some(1) {
        return Err(invalid("Steps of this service endpoint have to be asynchronous."));
    }
    Ok(())
}

fn missing(table: &str, id: Option<Uuid>) -> Refusal {
    Refusal::new(404, 0x8004_0217, format!("{table} With Id = {} Does Not Exist", id.unwrap_or_default()))
}
