//! Messages whose row is read first.

use serde_json::{Value, json};
use servicebus::ApplicationValue;
use shared::plan::Planner;

use super::{Case, NAMES, context, contexts::update, message, named, planner, reference, with};

/// What is read first where Dataverse can be asked, and what is not.
pub(super) fn reading() -> (Planner, Vec<Case>) {
    let name = json!({"firstname": "Ada"});
    let mut cut = named(&name);
    cut["InputParameters"] = json!([]);
    cut["PostEntityImages"] = json!([]);
    let unlinked = update(&name, &Value::Null, &Value::Null);
    let dead = [("contactsync-from-dead-letter", ApplicationValue::Bool(true))];
    let cases = vec![
        ("a cut message", message(&cut), "row truncated"),
        ("no link", message(&unlinked), "row link-unknown"),
        (
            "no link in the image",
            message(&update(&name, &Value::Null, &json!({"lastname": "L"}))),
            "row link-not-shown",
        ),
        ("a good update", message(&named(&name)), NAMES),
        ("one that was a dead letter", with(message(&named(&name)), &dead), "row replay"),
        ("a delete", message(&context("Delete", "contact", &reference())), "unchanged operation-ignored"),
    ];
    (Planner { read_back: true, ..planner() }, cases)
}
