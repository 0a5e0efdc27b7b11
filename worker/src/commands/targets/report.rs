//! What a comparison found, in words and as JSON: counts, names of properties and object ids, never a value.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    comparison::{ComparisonScope, ContactNaming, Findings, Side},
    ids::UserId,
    property::Property,
};

use crate::commands::json_text;

/// What is told.
pub(super) struct Report<'r> {
    /// Names of the two targets.
    pub(super) names: [&'r str; 2],
    pub(super) naming: &'r [ContactNaming; 2],
    pub(super) scope: &'r ComparisonScope,
    pub(super) found: &'r Findings,
    /// Since when the directories were read.
    pub(super) begun: Timestamp,
    pub(super) looked_again: bool,
}

impl Report<'_> {
    /// Whether no user of either directory names a contact, so that nothing was compared.
    pub(super) fn is_empty(&self) -> bool {
        self.found.agree == 0 && self.found.differences() == 0
    }

    /// Each compared property with how many pairs differ in it, those that do.
    fn by_property(&self) -> Vec<(&Property, usize)> {
        let count = |place: usize| {
            let differs = |differing: &[u8]| differing.iter().any(|one| usize::from(*one) == place);
            self.found.differ.iter().filter(|pair| differs(&pair.differing)).count()
        };
        let all = self
            .scope
            .compared
            .iter()
            .enumerate()
            .map(|(place, compared)| (&compared.property, count(place)));
        all.filter(|(_, count)| *count > 0).collect()
    }

    fn properties(&self, differing: &[u8]) -> Vec<&str> {
        let known = differing.iter().filter_map(|place| self.scope.compared.get(usize::from(*place)));
        known.map(|compared| compared.property.name()).collect()
    }

    pub(super) fn text(&self, list: bool) -> String {
        let Findings { agree, differ, alone, several, unlinked, kept_out, .. } = self.found;
        let names = self.names;
        let mut text = String::new();
        let mut line = |what: String| {
            text.push_str(&what);
            text.push('\n');
        };
        line(format!("{} and {}, read since {:.0}", names[0], names[1], self.begun));
        for side in Side::BOTH {
            line(format!("  {}: {}", names[side.index()], way(&self.naming[side.index()])));
        }
        line(format!("compared: {}", joined(self.scope.compared.iter().map(|one| &one.property))));
        for side in Side::BOTH.into_iter().filter(|side| !self.scope.left[side.index()].is_empty()) {
            let left = joined(&self.scope.left[side.index()]);
            line(format!("not compared, because only {} writes it so: {left}", names[side.index()]));
        }
        line(String::new());
        line(format!("{agree} agree"));
        let by = self.by_property().into_iter().map(|(property, count)| format!("{property} {count}"));
        let by = by.collect::<Vec<_>>().join(", ");
        line(format!("{} differ{}{by}", differ.len(), if by.is_empty() { "" } else { ": " }));
        for side in Side::BOTH {
            let (own, other) = (side.index(), side.other().index());
            line(format!("{} of {} are missing in {}", alone[own].len(), names[own], names[other]));
        }
        for side in Side::BOTH {
            let (place, name) = (side.index(), names[side.index()]);
            for (count, what) in [
                (several[place].len() as u64, "share their contact with another user, and are not compared"),
                (unlinked[place], "name no contact"),
                (kept_out[place], "are never written, by [filter]"),
            ] {
                if count > 0 {
                    line(format!("{count} of {name} {what}"));
                }
            }
        }
        if !self.looked_again {
            line("There are too many differences to look at each once more; changes under way may be among them.".into());
        }
        if self.is_empty() {
            line("No user of either directory names a contact, so nothing was compared.".into());
        }
        if list {
            self.list_in(&mut text);
        }
        text
    }

    fn list_in(&self, text: &mut String) {
        let names = self.names;
        // Writing to a string cannot fail.
        for pair in &self.found.differ {
            let [one, other] = pair.users;
            let properties = self.properties(&pair.differing).join(", ");
            let _infallible =
                writeln!(text, "differ: {} {one}, {} {other}: {properties}", names[0], names[1]);
        }
        for side in Side::BOTH {
            let (own, other) = (side.index(), side.other().index());
            for user in &self.found.alone[own] {
                let _infallible = writeln!(text, "missing in {}: {} {user}", names[other], names[own]);
            }
            for user in &self.found.several[own] {
                let _infallible = writeln!(text, "several of one contact: {} {user}", names[own]);
            }
        }
    }

    pub(super) fn json(&self, list: bool) -> String {
        let found = self.found;
        let by_name = |value: [Value; 2]| -> Value {
            let [first, second] = value;
            [(self.names[0], first), (self.names[1], second)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        };
        let count = |lists: &[Vec<UserId>; 2]| by_name(lists.each_ref().map(|list| json!(list.len())));
        let missing = [found.alone[1].len(), found.alone[0].len()].map(|count| json!(count));
        let properties = |list: &[Property]| json!(list.iter().map(Property::name).collect::<Vec<_>>());
        let by_property = self.by_property().into_iter();
        let by_property: serde_json::Map<_, _> =
            by_property.map(|(property, count)| (property.name().to_owned(), json!(count))).collect();
        let mut told = json!({
            "targets": self.names,
            "begun": self.begun.to_string(),
            "pairedBy": by_name(self.naming.each_ref().map(|naming| json!(way(naming)))),
            "compared": self.scope.compared.iter().map(|one| one.property.name()).collect::<Vec<_>>(),
            "notCompared": by_name(self.scope.left.each_ref().map(|left| properties(left))),
            "agree": found.agree,
            "differ": found.differ.len(),
            "differByProperty": by_property,
            "missingIn": by_name(missing),
            "severalOfOneContact": count(&found.several),
            "withoutContact": by_name(found.unlinked.map(|count| json!(count))),
            "neverWritten": by_name(found.kept_out.map(|count| json!(count))),
            "lookedAgain": self.looked_again,
        });
        if list {
            told["differences"] = self.differences(by_name);
        }
        json_text(&told)
    }

    fn differences(&self, by_name: impl Fn([Value; 2]) -> Value) -> Value {
        let differ = self.found.differ.iter().map(|pair| {
            let users = by_name(pair.users.map(|user| json!(user.to_string())));
            json!({ "users": users, "properties": self.properties(&pair.differing) })
        });
        let ids = |list: &[UserId]| json!(list.iter().map(ToString::to_string).collect::<Vec<_>>());
        json!({
            "differ": differ.collect::<Vec<_>>(),
            "missingIn": by_name([ids(&self.found.alone[1]), ids(&self.found.alone[0])]),
            "severalOfOneContact": by_name(self.found.several.each_ref().map(|list| ids(list))),
        })
    }
}

/// By what a user names its contact.
fn way(naming: &ContactNaming) -> String {
    match naming {
        ContactNaming::Attribute(attribute) => format!("{attribute} of a user holds the contact's id"),
        ContactNaming::ObjectId(column) => format!("{column} of a contact holds the object id"),
        ContactNaming::Identity { column, .. } => {
            format!("{column} of a contact holds the id of an identity (link.rules)")
        }
    }
}

fn joined<'p>(properties: impl IntoIterator<Item = &'p Property>) -> String {
    let names: Vec<_> = properties.into_iter().map(Property::name).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
