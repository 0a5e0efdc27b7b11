//! What is expected of a body, and what is different from it.
//!
//! An expectation is what `plan --json` says of the body. What says how and not what (versions, operations, texts for
//! people) is left out when one is written, and passed over when one is read, so that it holds for other versions too.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What is told of a body, by what it is about: `user`, the name of a property, `nothing` or `dead letter`.
type Facts = BTreeMap<String, Value>;

/// Something that is not as expected. Null is a property that is emptied; none means that nothing is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deviation {
    /// What it is about.
    pub(super) what: String,
    /// What should be.
    pub(super) expected: Option<Value>,
    /// What is.
    pub(super) found: Option<Value>,
}

/// The part of what `plan --json` says that an expectation holds.
pub(super) fn reduced(told: &Value) -> Value {
    let mut document = outcome(told);
    if let Some(changes) = told["changes"].as_array() {
        let changes = changes.iter().map(|change| {
            let mut reduced = outcome(change);
            copy(change, "contact", &mut reduced);
            if let Some(write) = change.get("write") {
                let mut kept = Map::new();
                copy(write, "user", &mut kept);
                copy(write, "set", &mut kept);
                if let Some(condition) = write.get("condition") {
                    kept.insert("condition".into(), json!({ "properties": condition["properties"] }));
                }
                reduced.insert("write".into(), Value::Object(kept));
            }
            Value::Object(reduced)
        });
        document.insert("changes".into(), changes.collect());
    }
    Value::Object(document)
}

fn outcome(told: &Value) -> Map<String, Value> {
    let mut reduced = Map::new();
    copy(told, "nothing", &mut reduced);
    if let Some(letter) = told.get("deadLetter") {
        reduced.insert("deadLetter".into(), json!({ "reason": letter["reason"] }));
    }
    reduced
}

fn copy(from: &Value, key: &str, to: &mut Map<String, Value>) {
    to.extend(from.get(key).map(|value| (key.to_owned(), value.clone())));
}

/// What differs between an expectation and what `plan --json` says; a text if the expectation is none.
pub(super) fn deviations(expected: &Value, told: &Value) -> Result<Vec<Deviation>, String> {
    let (mut expected, mut found) = (facts(expected)?, facts(told)?);
    let mut names: Vec<_> = expected.keys().chain(found.keys()).cloned().collect();
    names.sort();
    names.dedup();
    let compared = names.into_iter().map(|what| {
        let (expected, found) = (expected.remove(&what), found.remove(&what));
        Deviation { what, expected, found }
    });
    Ok(compared.filter(|one| one.expected != one.found).collect())
}

fn facts(document: &Value) -> Result<Facts, String> {
    let object = known(document, "the document", &["file", "changes", "nothing", "deadLetter"])?;
    let mut facts = Facts::new();
    ends(object, "", &mut facts)?;
    let changes = match object.get("changes") {
        None => &[],
        Some(changes) => changes.as_array().ok_or("changes must be a list")?.as_slice(),
    };
    for (index, change) in changes.iter().enumerate() {
        // Most messages are about one contact.
        let place = if changes.len() > 1 { format!("change {}: ", index + 1) } else { String::new() };
        let keys = ["contact", "job", "position", "operation", "version", "write", "nothing", "deadLetter"];
        let change = known(change, "a change", &keys)?;
        facts.extend(change.get("contact").map(|contact| (format!("{place}contact"), contact.clone())));
        ends(change, &place, &mut facts)?;
        let Some(write) = change.get("write") else { continue };
        let write = known(write, "write", &["user", "properties", "set", "condition"])?;
        facts.extend(write.get("user").map(|user| (format!("{place}user"), user.clone())));
        if let Some(set) = write.get("set") {
            let set = set.as_object().ok_or("set must be an object of properties and values")?;
            facts.extend(set.iter().map(|(name, value)| (format!("{place}{name}"), value.clone())));
        }
        if let Some(condition) = write.get("condition") {
            let condition = known(condition, "condition", &["properties", "text"])?;
            let bound = condition.get("properties").cloned().unwrap_or_default();
            facts.insert(format!("{place}only under a condition"), bound);
        }
    }
    if facts.is_empty() && !object.contains_key("changes") {
        return Err(
            "it expects nothing at all; write \"changes\": [] if no contact is in the message".to_owned()
        );
    }
    Ok(facts)
}

/// Ends without a write.
fn ends(object: &Map<String, Value>, place: &str, facts: &mut Facts) -> Result<(), String> {
    facts.extend(object.get("nothing").map(|why| (format!("{place}nothing"), why.clone())));
    if let Some(letter) = object.get("deadLetter") {
        let letter = known(letter, "deadLetter", &["reason", "description"])?;
        let reason = letter.get("reason").cloned().unwrap_or_default();
        facts.insert(format!("{place}dead letter"), reason);
    }
    Ok(())
}

/// An object with no other keys than these, so that a slip of the pen is not taken for agreement.
fn known<'v>(value: &'v Value, what: &str, keys: &[&str]) -> Result<&'v Map<String, Value>, String> {
    let object = value.as_object().ok_or_else(|| format!("{what} must be an object"))?;
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has the key {key}; it may have {}", keys.join(", "))),
        None => Ok(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Value {
        json!({ "changes": [{
            "contact": "c", "job": "j", "operation": "Update", "version": { "row": 5, "at": "2024-03-14T09:26:53Z" },
            "write": { "user": "u", "properties": ["givenName", "surname"], "set": { "givenName": "Ada", "surname": null },
                "condition": { "properties": ["signInEmail"], "text": "only if" } },
        }] })
    }

    fn letter() -> Value {
        json!({ "deadLetter": { "reason": "ValueInvalid", "description": "is too long" } })
    }

    #[test]
    fn what_plan_says_and_what_is_kept_of_it_agree() {
        let reduced_plan = json!({ "changes": [{ "contact": "c", "write": {
            "user": "u", "set": { "givenName": "Ada", "surname": null }, "condition": { "properties": ["signInEmail"] },
        } }] });
        assert_eq!(reduced(&told()), reduced_plan);
        assert_eq!(reduced(&letter()), json!({ "deadLetter": { "reason": "ValueInvalid" } }));
        let nothing = json!({ "changes": [{ "contact": "c", "operation": "Delete", "version": null, "nothing": "x" }] });
        for told in [told(), letter(), nothing, json!({ "nothing": "x" }), json!({ "changes": [] })] {
            assert_eq!(deviations(&reduced(&told), &told), Ok(Vec::new()), "{told}");
            assert_eq!(deviations(&told, &told), Ok(Vec::new()), "{told}");
        }
    }

    #[test]
    fn each_thing_that_is_told_counts() {
        let differing = |bend: fn(&mut Value)| {
            let mut found = told();
            bend(&mut found);
            deviations(&reduced(&told()), &found).expect("an expectation")
        };
        let check = |found: Vec<Deviation>, expected: &[(&str, Option<Value>, Option<Value>)]| {
            let found: Vec<_> = found.into_iter().map(|one| (one.what, one.expected, one.found)).collect();
            let expected: Vec<_> =
                expected.iter().map(|(what, a, b)| ((*what).to_owned(), a.clone(), b.clone())).collect();
            assert_eq!(found, expected);
        };
        check(
            differing(|found| found["changes"][0]["write"]["set"]["givenName"] = json!("Eve")),
            &[("givenName", Some(json!("Ada")), Some(json!("Eve")))],
        );
        check(
            differing(|found| found["changes"][0]["write"]["set"] = json!({ "givenName": "Ada", "city": 1 })),
            &[("city", None, Some(json!(1))), ("surname", Some(Value::Null), None)],
        );
        check(
            differing(|found| found["changes"][0]["write"]["user"] = json!("v")),
            &[("user", Some(json!("u")), Some(json!("v")))],
        );
        check(
            differing(|found| found["changes"][0]["contact"] = json!("d")),
            &[("contact", Some(json!("c")), Some(json!("d")))],
        );
        check(
            differing(|found| {
                let write = found["changes"][0]["write"].as_object_mut();
                drop(write.expect("a write").remove("condition"));
            }),
            &[("only under a condition", Some(json!(["signInEmail"])), None)],
        );
        check(
            differing(|found| found["deadLetter"] = json!({ "reason": "UserLinkInvalid" })),
            &[("dead letter", None, Some(json!("UserLinkInvalid")))],
        );
        check(differing(|found| found["changes"][0]["version"] = Value::Null), &[]);
        check(
            deviations(&letter(), &json!({ "nothing": "x" })).expect("an expectation"),
            &[("dead letter", Some(json!("ValueInvalid")), None), ("nothing", None, Some(json!("x")))],
        );
    }

    #[test]
    fn what_is_no_expectation_is_told_and_never_taken_for_agreement() {
        for (expected, why) in [
            (json!([]), "the document must be an object"),
            (json!({}), "it expects nothing at all; write \"changes\": [] if no contact is in the message"),
            (
                json!({ "chnages": [] }),
                "the document has the key chnages; it may have file, changes, nothing, deadLetter",
            ),
            (json!({ "changes": {} }), "changes must be a list"),
            (
                json!({ "changes": [{ "write": { "user": "u", "sets": {} } }] }),
                "write has the key sets; it may have user, properties, set, condition",
            ),
        ] {
            assert_eq!(deviations(&expected, &told()), Err(why.to_owned()));
        }
    }
}
