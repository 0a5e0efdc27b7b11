//! Images: which message has which, and under which property.

use super::{invalid, one_of, refuse, require};
use crate::dataverse::{
    pipeline::columns::{IMAGE, MESSAGE, STEP, choice, follow, text},
    refusal::Refusal,
    value::{Row, Tables, Value},
};

/// Messages that have images.
const WITH_IMAGES: [&str; 10] = [
    "Assign",
    "Create",
    "Delete",
    "DeliverIncoming",
    "DeliverPromote",
    "Merge",
    "Route",
    "Send",
    "SetState",
    "Update",
];

pub(super) fn check(tables: &Tables, after: &Row) -> Result<(), Refusal> {
    require(
        after,
        IMAGE,
        &["entityalias", "imagetype", "messagepropertyname", "sdkmessageprocessingstepid"],
    )?;
    one_of(choice(after, "imagetype"), "imagetype", &[0, 1, 2])?;
    // Left out it means all columns; as empty text it means nothing.
    if after.get("attributes") == Some(&Value::Text(String::new())) {
        return Err(invalid("'attributes' must not be empty."));
    }
    let Some(step) = follow(tables, after, "sdkmessageprocessingstepid", STEP) else {
        return Err(Refusal::new(404, 0x8004_0217, "sdkmessageprocessingstep Does Not Exist"));
    };
    let message = follow(tables, step, "sdkmessageid", MESSAGE).and_then(|row| text(row, "name"));
    check_against(after, message.unwrap_or_default(), choice(step, "stage"))
}

/// Whether a step of this message and stage can have the image.
pub(super) fn check_against(image: &Row, message: &str, stage: Option<i32>) -> Result<(), Refusal> {
    if !WITH_IMAGES.contains(&message) {
        return Err(refuse(0x8004_4189, &format!("Message {message} does not support this image type.")));
    }
    let property = text(image, "messagepropertyname").unwrap_or_default();
    let expected = match message {
        "Create" => "Id",
        "SetState" => "EntityMoniker",
        "DeliverIncoming" | "DeliverPromote" | "Send" => "EmailId",
        _ => "Target",
    };
    if property != expected {
        let words = format!("Message property name '{property}' is not valid on message {message}.");
        return Err(refuse(0x8004_416b, &words));
    }
    let kind = choice(image, "imagetype");
    let (before, after) = (matches!(kind, Some(0 | 2)), matches!(kind, Some(1 | 2)));
    if message == "Create" && before {
        return Err(refuse(0x8004_416d, "Message Create does not support pre images."));
    }
    if message == "Delete" && after {
        return Err(refuse(0x8004_416d, "Message Delete does not support post images."));
    }
    if after && stage != Some(40) {
        return Err(refuse(0x8004_416e, "PreEvent step registration does not support Post Image."));
    }
    Ok(())
}
