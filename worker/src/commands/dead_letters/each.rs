//! One dead letter on a line, as it is come upon: a queue of any length is listed in little memory.

use serde_json::{Value, json};
use servicebus::Message;
use shared::{plan::Planner, shown::brief};

use crate::{
    commands::json_line,
    operate::dead_letters::Letter,
    preview::{Subjects, render::subjects_json},
};

/// Stands above the first of them.
pub(super) const HEADING: &str = "Number  Since (UTC)       Contact                               Reason\n";

/// For people.
pub(super) fn line(message: &Message, planner: &Planner) -> String {
    let (letter, subjects) = (Letter::of(message), Subjects::of(message, planner));
    let since = letter.since.map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string());
    let contact = match &*subjects.contacts {
        [] => "?".to_owned(),
        [one] => one.to_string(),
        many => format!("{} contacts", many.len()),
    };
    let reason = if letter.reason.is_empty() { "(none given)".into() } else { brief(&letter.reason, 80) };
    format!("{:>6}  {since:16}  {contact:36}  {reason}\n", letter.sequence.0)
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
