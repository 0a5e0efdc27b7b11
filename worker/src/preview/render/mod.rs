//! Previews in words and in JSON, for all commands alike. What comes from others takes one line.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use shared::{
    change::{self, Change, Columns},
    engine::intake::DecodedBody,
    patch::{PropertyValue, UserPatch, UserWrite},
    plan::{Judgement, LinkQuery, Plan, Planner, ReadCause, RowGrounds, WantedRow},
    property::Property,
    reason::DeadLetter,
    shown::Shown,
    version::Version,
};

use super::{Compared, Pending, Preview, Subjects, judge};
use crate::graph::Difference;

/// Whether values are told, which are personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Hidden,
    Shown,
}

impl From<bool> for Values {
    fn from(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Hidden }
    }
}

/// A line for each thing that would be done.
pub(crate) fn lines(preview: &Preview, values: Values) -> Vec<String> {
    let writes = preview.writes.iter().map(|write| write_line(write, values));
    let nothing = preview.nothing.map(|why| format!("nothing      {}", why.explain()));
    let asks = (!preview.lookups.is_empty()).then(|| format!("look up      {}", asked(preview)));
    let reads = preview.reads.iter().map(read_line);
    writes.chain(reads).chain(asks).chain(nothing).chain(preview.letter.as_ref().map(letter_line)).collect()
}

/// Whom a message is about, for machines: the ids of contacts, users and the job, as far as there are any.
pub(crate) fn subjects_json(subjects: &Subjects) -> Map<String, Value> {
    let mut object = Map::new();
    if !subjects.contacts.is_empty() {
        object.insert("contacts".into(), texts(&subjects.contacts));
    }
    if !subjects.users.is_empty() {
        object.insert("users".into(), texts(&subjects.users));
    }
    if let Some(job) = subjects.job {
        object.insert("job".into(), json!(job.to_string()));
    }
    object
}

fn texts<T: ToString>(ids: &[T]) -> Value {
    ids.iter().map(|id| Value::String(id.to_string())).collect()
}

fn read_line(wanted: &WantedRow) -> String {
    format!(
        "read row     of contact {} in Dataverse first, because {}",
        wanted.row.contact,
        wanted.cause.explain()
    )
}

fn read_json(wanted: &WantedRow) -> Value {
    json!({ "contact": wanted.row.contact.to_string(), "cause": wanted.cause.as_str() })
}

/// What Graph has to be asked, or was in vain.
fn asked(preview: &Preview) -> String {
    preview.unanswered.clone().unwrap_or_else(|| questions(&preview.lookups))
}

fn questions(queries: &[LinkQuery]) -> String {
    queries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", else ")
}

fn letter_line(letter: &DeadLetter) -> String {
    format!("dead letter  {}: {}", letter.reason.as_str(), letter.description.as_str())
}

fn write_line(Pending { write, condition, compared }: &Pending, values: Values) -> String {
    let entries = write.entries.iter().map(|entry| named(&entry.property, &entry.value, values));
    let what = format!("user {}: {}", write.user, entries.collect::<Vec<_>>().join(", "));
    let mut word = "would write";
    let remark = match compared {
        None => condition.map_or_else(String::new, |condition| format!(", {condition}")),
        Some(Compared::Differs(difference)) => {
            let (so, newer) = (kept(difference, write, false), kept(difference, write, true));
            let mut remark = match (&*so, &*newer) {
                ([], []) => "; none of it is so yet".to_owned(),
                ([], _) => String::new(),
                (so, _) => format!("; Graph has {} already", so.join(", ")),
            };
            if difference.properties.is_empty() {
                word = if newer.is_empty() { "same" } else { "stale" };
            }
            if !newer.is_empty() {
                // Writing to a string cannot fail.
                let _infallible = write!(remark, "; a newer change has set {}", newer.join(", "));
            }
            remark
        }
        Some(Compared::DeadLetter(letter)) => return format!("{} ({what})", letter_line(letter)),
        Some(Compared::Unknown(why)) => format!("; {why}"),
    };
    format!("{word:11}  {what}{remark}")
}

/// The properties that would not be written: because a newer change has set them, or because they are so already.
fn kept<'w>(difference: &Difference, write: &'w UserWrite, newer: bool) -> Vec<&'w str> {
    let properties = write.entries.iter().map(|entry| &entry.property);
    let kept = properties.filter(|property| !difference.properties.contains(property));
    kept.filter(|property| difference.superseded.contains(property) == newer).map(Property::name).collect()
}

/// The same for machines.
pub(crate) fn json(preview: &Preview, values: Values) -> Map<String, Value> {
    let mut object = Map::new();
    if !preview.writes.is_empty() {
        object
            .insert("writes".into(), preview.writes.iter().map(|write| write_json(write, values)).collect());
    }
    if !preview.reads.is_empty() {
        object.insert("readRows".into(), preview.reads.iter().map(read_json).collect());
    }
    if !preview.lookups.is_empty() {
        object.insert("lookUp".into(), json!(questions(&preview.lookups)));
    }
    if let Some(why) = &preview.unanswered {
        object.insert("unknown".into(), json!(why));
    }
    if let Some(why) = preview.nothing {
        object.insert("nothing".into(), json!(why.as_str()));
    }
    if let Some(letter) = &preview.letter {
        object.insert("deadLetter".into(), letter_json(letter));
    }
    object
}

fn write_json(Pending { write, condition, compared }: &Pending, values: Values) -> Value {
    let entries = write.entries.iter().map(|entry| (&entry.property, &entry.value));
    let mut object = json!({ "user": write.user.to_string(), "properties": names(entries.clone()) });
    if values == Values::Shown {
        object["set"] = set(entries);
    }
    if let Some(condition) = condition {
        object["condition"] = json!(condition);
    }
    match compared {
        None => {}
        Some(Compared::Differs(difference)) => {
            object["already"] = json!(kept(difference, write, false));
            object["newer"] = json!(kept(difference, write, true));
        }
        Some(Compared::DeadLetter(letter)) => object["deadLetter"] = letter_json(letter),
        Some(Compared::Unknown(why)) => object["unknown"] = json!(why),
    }
    object
}

/// The outcome of a message whose row is to be read first.
pub(crate) const READ_ROW: &str = "read row";

/// The outcome in one word, and what goes with it.
pub(crate) fn outcome(preview: &Preview) -> (&'static str, String) {
    if let Some(letter) = preview.dead_letter() {
        return ("dead letter", letter.reason.as_str().into());
    }
    if let Some(why) = preview.nothing {
        return ("unchanged", why.as_str().into());
    }
    if !preview.reads.is_empty() {
        let mut causes: Vec<_> = preview.reads.iter().map(|wanted| wanted.cause).collect();
        causes.sort_unstable();
        causes.dedup();
        return (READ_ROW, causes.into_iter().map(ReadCause::as_str).collect::<Vec<_>>().join(", "));
    }
    if !preview.lookups.is_empty() {
        let word = if preview.unanswered.is_some() { "unknown" } else { "look up" };
        return (word, asked(preview));
    }
    let (mut written, mut superseded) = (Vec::new(), false);
    for Pending { write, compared, .. } in &preview.writes {
        let all = write.entries.iter().map(|entry| &entry.property);
        match compared {
            None => written.extend(all.map(Property::name)),
            Some(Compared::Differs(difference)) => {
                written.extend(difference.properties.iter().map(Property::name));
                superseded |= !difference.superseded.is_empty();
            }
            Some(Compared::Unknown(why)) => return ("unknown", why.clone()),
            Some(Compared::DeadLetter(_)) => {}
        }
    }
    written.sort_unstable();
    written.dedup();
    match written.is_empty() {
        false => ("write", written.join(", ")),
        true if superseded => ("stale", "newer values are there".into()),
        true => ("same", "the user has these values".into()),
    }
}

/// What is told of each change by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Details<'p> {
    pub(crate) planner: &'p Planner,
    pub(crate) values: Values,
    /// Whether to tell every column that the message carries.
    pub(crate) columns: bool,
}

impl Details<'_> {
    pub(crate) fn text(&self, preview: &Preview) -> String {
        let mut text = String::new();
        match &preview.report {
            Err(letter) => dead_letter(&mut text, letter),
            Ok(DecodedBody::Nothing(why)) => line(&mut text, "nothing", why.explain()),
            Ok(DecodedBody::Changes(changes, unread)) => {
                for (index, change) in changes.iter().enumerate() {
                    if index > 0 {
                        text.push('\n');
                    }
                    self.change(&mut text, change, preview.may_be_old);
                }
                if changes.is_empty() && unread.is_empty() {
                    line(&mut text, "nothing", "no contact is in the message");
                }
                if let Some(letter) = unread.letter() {
                    dead_letter(&mut text, &letter);
                }
            }
        }
        text
    }

    /// What becomes of a change; the row is asked for first where that is so.
    fn planned(&self, change: &Change, may_be_old: bool) -> Result<Plan, ReadCause> {
        let reading = RowGrounds { replayed: may_be_old, ..RowGrounds::default() };
        match judge::plan(change, self.planner, reading) {
            Judgement::ByMessage(plan) | Judgement::ByRow(plan, ..) => Ok(plan),
            Judgement::Read(cause) => Err(cause),
        }
    }

    fn change(&self, text: &mut String, change: &Change, may_be_old: bool) {
        head(text, change);
        match self.planned(change, may_be_old) {
            Err(cause) => line(text, READ_ROW, &format!("in Dataverse first, because {}", cause.explain())),
            Ok(plan) => self.plan(text, plan),
        }
        for (place, columns) in self.carried(change) {
            let names: Vec<_> = columns.iter().map(|(name, _)| name).collect();
            match self.values {
                Values::Hidden if names.is_empty() => {}
                Values::Hidden => line(text, place, &names.join(", ")),
                Values::Shown => {
                    columns
                        .iter()
                        .for_each(|(name, value)| line(text, place, &format!("{name} = {}", column(value))));
                }
            }
        }
    }

    fn plan(&self, text: &mut String, plan: Plan) {
        match plan {
            Plan::Write { user, patch } => {
                line(text, "user", &user.to_string());
                for part in patch.parted() {
                    for (property, value) in part.iter() {
                        line(text, "write", &named(property, value, self.values));
                    }
                    if let Some(condition) = part.condition() {
                        line(text, "", condition);
                    }
                }
            }
            Plan::Nothing(why) => line(text, "nothing", why.explain()),
            Plan::LookUp(queries) => line(text, "look up", &questions(&queries)),
            Plan::Impossible(letter) => dead_letter(text, &letter),
        }
    }

    pub(crate) fn json(&self, preview: &Preview) -> Value {
        match &preview.report {
            Err(letter) => json!({ "deadLetter": letter_json(letter) }),
            Ok(DecodedBody::Nothing(why)) => json!({ "nothing": why.as_str() }),
            Ok(DecodedBody::Changes(changes, unread)) => {
                let changes: Vec<_> =
                    changes.iter().map(|change| self.change_json(change, preview.may_be_old)).collect();
                let mut value = json!({ "changes": changes });
                if let Some(letter) = unread.letter() {
                    value["deadLetter"] = letter_json(&letter);
                }
                value
            }
        }
    }

    fn change_json(&self, change: &Change, may_be_old: bool) -> Value {
        let mut object = head_json(change);
        let (key, value) = match self.planned(change, may_be_old) {
            Err(cause) => ("readRow", json!({ "cause": cause.as_str() })),
            Ok(plan) => self.plan_json(plan),
        };
        object.insert(key.into(), value);
        for (place, columns) in self.carried(change) {
            let shown = |value| if self.values == Values::Shown { column(value) } else { json!("(hidden)") };
            let columns = columns.iter().map(|(name, value)| (name.to_owned(), shown(value)));
            object.insert(place.into(), Value::Object(columns.collect()));
        }
        Value::Object(object)
    }

    fn plan_json(&self, plan: Plan) -> (&'static str, Value) {
        match plan {
            Plan::Write { user, patch } => {
                let mut write = json!({ "user": user.to_string(), "properties": names(patch.iter()) });
                if self.values == Values::Shown {
                    write["set"] = set(patch.iter());
                }
                if let Some((text, part)) = bound(patch) {
                    write["condition"] = json!({ "properties": names(part.iter()), "text": text });
                }
                ("write", write)
            }
            Plan::Nothing(why) => ("nothing", json!(why.as_str())),
            Plan::LookUp(queries) => ("lookUp", json!(questions(&queries))),
            Plan::Impossible(letter) => ("deadLetter", letter_json(&letter)),
        }
    }

    fn carried<'c>(&self, change: &'c Change) -> impl Iterator<Item = (&'static str, &'c Columns)> {
        let places = [("columns", &change.columns), ("before", &change.before), ("after", &change.after)];
        places.into_iter().filter(|_| self.columns)
    }
}

/// The part of a patch that is written under a condition only.
fn bound(patch: UserPatch) -> Option<(&'static str, UserPatch)> {
    patch.parted().find_map(|part| Some((part.condition()?, part)))
}

/// A line of what is told, by its word to the left.
pub(crate) fn line(text: &mut String, what: &str, value: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "{what:11} {}", Shown(value));
}

pub(crate) fn dead_letter(text: &mut String, letter: &DeadLetter) {
    line(text, "dead letter", letter.reason.as_str());
    line(text, "because", letter.description.as_str());
}

pub(crate) fn letter_json(letter: &DeadLetter) -> Value {
    json!({ "reason": letter.reason.as_str(), "description": letter.description.as_str() })
}

/// Which change it is.
pub(crate) fn head(text: &mut String, change: &Change) {
    let place = change.origin.position.map_or_else(String::new, |position| format!(", number {position}"));
    line(text, "contact", &format!("{}, {:?}{place}", change.contact, change.operation));
    if let Some(job) = change.origin.job {
        line(text, "job", &job.to_string());
    }
    let none = "none in the message; the time of its arrival counts";
    line(text, "version", &change.version.map_or_else(|| none.to_owned(), version));
}

pub(crate) fn head_json(change: &Change) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("contact".into(), json!(change.contact.to_string()));
    if let Some(position) = change.origin.position {
        object.insert("position".into(), json!(position));
    }
    object.insert("operation".into(), json!(format!("{:?}", change.operation)));
    if let Some(job) = change.origin.job {
        object.insert("job".into(), json!(job.to_string()));
    }
    object.insert("version".into(), change.version.map_or(Value::Null, version_json));
    object
}

/// A version, in words.
pub(crate) fn version(version: Version) -> String {
    match version.row {
        Some(row) => format!("row version {}, {}", row.number, version.at),
        None => format!("{}, no row version", version.at),
    }
}

pub(crate) fn version_json(version: Version) -> Value {
    json!({ "row": version.row.map(|row| row.number), "at": version.at.to_string() })
}

/// A property, with its value if that may be told.
pub(crate) fn named(property: &Property, value: &PropertyValue, values: Values) -> String {
    match values {
        Values::Shown => format!("{property} = {}", shown(value)),
        Values::Hidden => property.to_string(),
    }
}

pub(crate) fn shown(value: &PropertyValue) -> Value {
    match value {
        PropertyValue::Clear => Value::Null,
        PropertyValue::Text(text) => json!(text),
        PropertyValue::Element(wanted) => json!(wanted.text.iter().collect::<Vec<_>>()),
        PropertyValue::List(texts) => json!(texts),
        PropertyValue::Bool(yes) => json!(yes),
        PropertyValue::Integer(number) => json!(number),
        PropertyValue::SignIn(wanted) => json!(wanted.address),
    }
}

fn names<'v>(entries: impl Iterator<Item = (&'v Property, &'v PropertyValue)>) -> Vec<&'v str> {
    entries.map(|(property, _)| property.name()).collect()
}

fn set<'v>(entries: impl Iterator<Item = (&'v Property, &'v PropertyValue)>) -> Value {
    Value::Object(entries.map(|(property, value)| (property.name().to_owned(), shown(value))).collect())
}

fn column(value: &change::ColumnValue) -> Value {
    match value {
        change::ColumnValue::Null => Value::Null,
        change::ColumnValue::Text(text) => json!(text),
        change::ColumnValue::Bool(yes) => json!(yes),
        change::ColumnValue::Choice { value, label } => json!({ "value": value, "label": label }),
        change::ColumnValue::Lookup { id, name } => {
            json!({ "id": id.map(|id| id.to_string()), "name": name })
        }
        change::ColumnValue::Unsupported(kind) => json!(format!("({kind})")),
    }
}

#[cfg(test)]
mod tests;
