//! One dead letter on a line.

use serde_json::{Value, json};
use servicebus::Message;
use shared::{plan::Planner, shown::brief};

use crate::{
    commands::{each, json_line},
    operate::dead_letters::Letter,
    preview::{Subjects, render::subjects_json},
};

/// Stands above the first of them.
pub(super) fn heading() -> String {
    each::heading(&["Contact"], "Reason")
}

/// For people.
pub(super) fn line(message: &Message, planner: &Planner) -> String {
    let (letter, subjects) = (Letter::of(message), Subjects::of(message, planner));
    let reason = if letter.reason.is_empty() { "(none given)".into() } else { brief(&letter.reason, 80) };
    each::row(letter.sequence, letter.since, &[each::only(&subjects.contacts, "contacts")], &reason)
}

/// For machines.
pub(super) fn json(message: &Message, planner: &Planner) -> String {
    let letter = Letter::of(message);
    let mut told = subjects_json(&Subjects::of(message, planner));
    told.insert("sequence".into(), json!(letter.sequence.0));
    told.insert("reason".into(), json!(letter.reason));
    told.insert("code".into(), json!(letter.code));
    told.insert("target".into(), json!(letter.target));
    told.insert("enqueued".into(), json!(letter.since.map(|at| at.to_string())));
    json_line(&Value::Object(told))
}
