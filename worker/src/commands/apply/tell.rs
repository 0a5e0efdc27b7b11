//! What `apply` tells, for people and for machines.

use serde_json::{Map, Value, json};
use shared::{patch::PropertyValue, version::Version};

use super::case::{Case, End, Looked, Seen};
use crate::{
    commands::json_text,
    preview::render::{
        Values, dead_letter, head, head_json, letter_json, line, named, shown, version, version_json,
    },
};

/// How to tell it.
pub(super) struct Manner {
    /// Whether it was to be written.
    pub(super) write: bool,
    /// Whether values are shown.
    pub(super) values: Values,
    /// Whether there is a guard.
    pub(super) guarded: bool,
    /// The number of the dead letter, if it is one.
    pub(super) dead_letter: Option<i64>,
}

impl Manner {
    pub(super) fn text(&self, cases: &[Case]) -> String {
        let mut text = String::new();
        for case in cases {
            self.case(&mut text, case);
            text.push('\n');
        }
        text.push_str(&self.verdict(cases));
        text
    }

    fn case(&self, text: &mut String, case: &Case) {
        if let Some(change) = &case.change {
            head(text, change);
        }
        match &case.end {
            End::Nothing(why) => line(text, "nothing", why.explain()),
            End::Impossible(letter) => dead_letter(text, letter),
            End::Looked(looked) => self.looked(text, looked),
        }
        for (property, column) in &case.left_out {
            let why = format!("{property}, because the message does not carry {column}");
            line(text, "left out", &why);
        }
    }

    fn looked(&self, text: &mut String, looked: &Looked) {
        line(text, "user", &looked.write.user.to_string());
        for (property, value, seen) in looked.rows() {
            let what = named(property, value, self.values);
            let word = if seen.is_none_or(Seen::is_written) { "write" } else { "keep" };
            line(text, word, &format!("{what}{}", seen.map(remark).unwrap_or_default()));
        }
        if !self.guarded {
            line(
                text,
                "no guard",
                "a newer value would be overwritten: see that nothing of this user waits or is under way",
            );
        }
        if let Some(failure) = looked.failure() {
            line(text, "failed", failure);
        }
    }

    /// What it comes to, and what can be done next.
    fn verdict(&self, cases: &[Case]) -> String {
        let looked: Vec<_> = cases.iter().filter_map(Case::looked).collect();
        let seen: Vec<_> = looked.iter().filter_map(|looked| looked.seen.as_ref().ok()).flatten().collect();
        let (failed, written) =
            (cases.iter().any(Case::failed), looked.iter().any(|looked| looked.is_written()));
        let mut lines = vec![match (failed, written) {
            (true, true) => "Only a part of it was written.".to_owned(),
            (true, false) => "It cannot be written.".to_owned(),
            (false, true) => "Written.".to_owned(),
            (false, false) if looked.is_empty() => "There is nothing to write.".to_owned(),
            (false, false) if self.write => "Nothing had to be written.".to_owned(),
            (false, false) if !seen.iter().any(|seen| seen.is_written()) => {
                "Nothing would be written.".to_owned()
            }
            (false, false) => "Nothing was written; --yes writes it.".to_owned(),
        }];
        if !seen.iter().all(|seen| seen.is_written()) {
            lines.push(
                "What a newer change has set was left alone; --overrule writes it all the same.".to_owned(),
            );
        }
        if let (Some(sequence), true, false) = (self.dead_letter, self.write, failed) {
            let purge = format!("contactsync dead-letters purge --sequence {sequence} --yes");
            lines.push(format!("The dead letter is still there; {purge} takes it out."));
        }
        lines.join("\n") + "\n"
    }

    pub(super) fn json(&self, cases: &[Case]) -> String {
        let told = json!({
            "dryRun": !self.write,
            "sequence": self.dead_letter,
            "guarded": self.guarded,
            "changes": cases.iter().map(|case| self.case_json(case)).collect::<Vec<_>>(),
        });
        json_text(&told)
    }

    fn case_json(&self, case: &Case) -> Value {
        let mut object = case.change.as_ref().map_or_else(Map::new, head_json);
        match &case.end {
            End::Nothing(why) => drop(object.insert("nothing".into(), json!(why.as_str()))),
            End::Impossible(letter) => drop(object.insert("deadLetter".into(), letter_json(letter))),
            End::Looked(looked) => {
                object.insert("user".into(), json!(looked.write.user.to_string()));
                let rows = looked.rows().map(|(property, value, seen)| {
                    property_json(property.name(), (self.values == Values::Shown).then_some(value), seen)
                });
                object.insert("properties".into(), rows.collect());
                object.insert("written".into(), json!(looked.is_written()));
                if let Some(failure) = looked.failure() {
                    object.insert("error".into(), json!(failure));
                }
            }
        }
        let left_out = case.left_out.iter();
        let left_out =
            left_out.map(|(property, column)| json!({"property": property.name(), "missing": column}));
        object.insert("leftOut".into(), left_out.collect());
        Value::Object(object)
    }
}

fn property_json(name: &str, value: Option<&PropertyValue>, seen: Option<Seen>) -> Value {
    let mut told = json!({ "name": name, "state": seen.map(Seen::as_str) });
    if let Some(value) = value {
        told["value"] = shown(value);
    }
    if let Some(version) = seen.and_then(Seen::version) {
        told["newer"] = version_json(version);
    }
    told
}

/// What is to be said of a property besides its value.
fn remark(seen: Seen) -> String {
    let of = |of: Version| format!("({})", version(of));
    match seen {
        Seen::Different => String::new(),
        Seen::Same => "; the user has it already".to_owned(),
        Seen::Newer(Some(version)) => format!("; a newer change has set it {}", of(version)),
        Seen::Newer(None) => "; a newer change has set it meanwhile".to_owned(),
        Seen::Overruled(version) => format!("; over a newer change {}", of(version)),
    }
}
