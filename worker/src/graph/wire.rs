//! JSON as Graph speaks it: the body of a PATCH, and the body of an error.

use std::time::Duration;

use serde::{Deserialize, Serialize, ser::SerializeMap};
use shared::{
    patch::{PropertyValue, UserPatch},
    property::Property,
};

use super::answer::Answer;

/// A patch in the form Graph takes.
pub(super) struct Body<'a>(pub(super) &'a UserPatch);

/// The fifteen attributes that Graph keeps inside an object of their own.
struct Nested<'a>(&'a UserPatch);

struct Value<'a>(&'a Property, &'a PropertyValue);

fn is_nested(property: &Property) -> bool {
    property.name().starts_with("extensionAttribute")
}

impl Serialize for Body<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut nested = false;
        for (property, value) in self.0.iter() {
            if is_nested(property) {
                nested = true;
            } else {
                map.serialize_entry(property.name(), &Value(property, value))?;
            }
        }
        if nested {
            map.serialize_entry("onPremisesExtensionAttributes", &Nested(self.0))?;
        }
        map.end()
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nested = self.0.iter().filter(|(property, _)| is_nested(property));
        serializer.collect_map(nested.map(|(property, value)| (property.name(), Value(property, value))))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use shared::property::Kind;
        match (self.1, self.0.rules().kind) {
            // An empty string would be refused: null empties a scalar and an empty list a collection.
            (PropertyValue::Clear, Kind::List { .. }) => serializer.collect_seq::<[&str; 0]>([]),
            (PropertyValue::Clear, _) => serializer.serialize_none(),
            (PropertyValue::Text(text), _) => serializer.serialize_str(text),
            (PropertyValue::Single(text), _) => serializer.collect_seq([text]),
            (PropertyValue::Bool(yes), _) => serializer.serialize_bool(*yes),
        }
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorObject,
}

#[derive(Default, Deserialize)]
struct ErrorObject {
    code: Option<String>,
    message: Option<String>,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<String>,
    target: Option<String>,
}

/// Reads an error body leniently: gateways in front of Graph answer with HTML or with nothing.
pub(super) fn answer(
    status: u16,
    body: &[u8],
    request_id: Option<&str>,
    retry_after: Option<Duration>,
) -> Answer {
    let error = serde_json::from_slice::<ErrorBody>(body).unwrap_or_default().error;
    let message = error.message.as_deref().unwrap_or_default();
    let conflicting =
        |detail: &Detail| matches!(detail.code.as_deref(), Some("ObjectConflict" | "ConflictingObjects"));
    Answer {
        status,
        conflict: error.details.iter().any(conflicting)
            || message.starts_with("Another object with the same value for property")
            || message.starts_with("A conflicting object with one or more of the specified property values"),
        overload: message.contains("Count of cacheOperations is over the limit"),
        // `ConflictingObjects` names the other object in its target, which is none of the log's business.
        target: error
            .details
            .iter()
            .filter(|detail| detail.code.as_deref() != Some("ConflictingObjects"))
            .find_map(|detail| detail.target.as_deref().and_then(name)),
        code: error.code.as_deref().and_then(name),
        request_id: request_id.and_then(name),
        retry_after,
    }
}

/// Only what looks like a name is kept, so that a gateway cannot put text of its own into our logs.
fn name(text: &str) -> Option<Box<str>> {
    let good = !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    good.then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(entries: &[(&str, PropertyValue)]) -> UserPatch {
        let named = |name| Property::named(name).expect("known");
        UserPatch::new(entries.iter().map(|(name, value)| (named(name), value.clone()))).expect("not empty")
    }

    #[test]
    fn a_patch_is_written_as_graph_wants_it() {
        let text = |text: &str| PropertyValue::Text(text.into());
        let patch = patch(&[
            ("givenName", text("Zoë \"Z\"")),
            ("surname", PropertyValue::Clear),
            ("businessPhones", PropertyValue::Single("1".into())),
            ("otherMails", PropertyValue::Clear),
            ("extensionAttribute3", text("x")),
            ("accountEnabled", PropertyValue::Bool(false)),
        ]);
        assert_eq!(
            serde_json::to_string(&Body(&patch)).expect("serializes"),
            r#"{"givenName":"Zoë \"Z\"","surname":null,"businessPhones":["1"],"otherMails":[],"accountEnabled":false,"onPremisesExtensionAttributes":{"extensionAttribute3":"x"}}"#
        );
    }

    #[test]
    fn an_error_body_gives_its_codes_and_no_text() {
        let body = br#"{"error":{"code":"Request_BadRequest","message":"Ada is bad","details":
            [{"code":"InvalidValue","target":"givenName","message":"Ada"}],"innerError":{"date":"x"}}}"#;
        let answer = answer(400, body, Some("r-1"), None);
        assert_eq!(answer.to_string(), "400 Request_BadRequest for givenName, request-id r-1");
        assert!(!answer.conflict);
    }

    #[test]
    fn a_conflict_is_seen_in_details_and_in_the_known_sentences() {
        let by_detail = br#"{"error":{"code":"Request_BadRequest","details":
            [{"code":"ObjectConflict","target":"proxyAddresses"},{"code":"ConflictingObjects","target":"User_1"}]}}"#;
        let found = answer(400, by_detail, None, None);
        assert_eq!((found.conflict, found.target.as_deref()), (true, Some("proxyAddresses")));
        for text in [
            "Another object with the same value for property mail already exists.",
            "A conflicting object with one or more of the specified property values is present in the directory.",
        ] {
            let body = format!(r#"{{"error":{{"code":"Request_BadRequest","message":"{text}"}}}}"#);
            assert!(answer(400, body.as_bytes(), None, None).conflict);
        }
    }

    #[test]
    fn html_nothing_and_garbage_leave_the_status() {
        for body in [&b""[..], b"<html>", b"{}", b"[]", br#"{"error":"x"}"#, b"\xff"] {
            assert_eq!(answer(502, body, None, None), Answer { status: 502, ..Answer::default() });
        }
    }

    #[test]
    fn text_in_the_place_of_a_code_is_not_kept() {
        let body = br#"{"error":{"code":"ada@example.com is wrong"}}"#;
        assert_eq!(answer(400, body, Some("<script>"), None).to_string(), "400");
    }
}
