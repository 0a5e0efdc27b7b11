//! What a preview says, in words and in JSON.

use bytes::Bytes;
use jiff::Timestamp;
use servicebus::Message;
use shared::mapping::Mapping;

use super::*;
use crate::graph::Difference;

/// The smallest update that says everything.
fn body(link: &str) -> Vec<u8> {
    let body = json!({
        "InputParameters": [{"key": "Target", "value": {
            "__type": "Entity:http://schemas.microsoft.com/xrm/2011/Contracts",
            "Attributes": [{"key": "firstname", "value": "Ada"}, {"key": "lastname", "value": null},
                {"key": "adx_identity_username", "value": link}],
            "Id": "03d0d059-3dcf-41f2-9e20-57b85dbff932", "LogicalName": "contact"}}],
        "MessageName": "Update", "OperationCreatedOn": "/Date(1710408413000+0000)/",
        "PrimaryEntityId": "03d0d059-3dcf-41f2-9e20-57b85dbff932", "PrimaryEntityName": "contact"});
    serde_json::to_vec(&body).expect("serializes")
}

fn plan(body: &[u8]) -> (String, Value) {
    plan_by(Mapping::preset_default(), body)
}

fn preview(planner: &Planner, body: &[u8]) -> Preview {
    let message = Message { body: Ok(Bytes::copy_from_slice(body)), ..Message::default() };
    Preview::of(&message, planner, Timestamp::UNIX_EPOCH)
}

fn plan_by(mapping: Mapping, body: &[u8]) -> (String, Value) {
    let planner = Planner::new(mapping);
    let preview = preview(&planner, body);
    let details = Details { planner: &planner, values: Values::Shown, columns: false };
    (details.text(&preview), details.json(&preview))
}

#[test]
fn a_write_is_shown_with_user_version_and_values() {
    let (text, json) = plan(&body("6A1E2C1E-6c2d-4b0e-9a44-3d0f5c1f7b10"));
    assert_eq!(
        text,
        "contact     03d0d059-3dcf-41f2-9e20-57b85dbff932, Update\n\
         version     2024-03-14T09:26:53Z, no row version\n\
         user        6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b10\n\
         write       givenName = \"Ada\"\n\
         write       surname = null\n"
    );
    assert_eq!(json["changes"][0]["write"]["set"], json!({"givenName": "Ada", "surname": null}));
}

#[test]
fn an_address_that_is_moved_under_a_condition_says_under_which() {
    let body = String::from_utf8(body("6A1E2C1E-6c2d-4b0e-9a44-3d0f5c1f7b10")).expect("text");
    let body = body.replace(r#""key":"firstname","value":"Ada""#, r#""key":"emailaddress1","value":"a@b.c""#);
    let (text, json) = plan_by(Mapping::preset_b2c(), body.as_bytes());
    let told = "write       surname = null\n\
                write       otherMails = [\"a@b.c\"]\n\
                write       signInEmail = \"a@b.c\"\n            only if the user signs in with this address already";
    assert!(text.contains(told), "{text}");
    let condition = &json["changes"][0]["write"]["condition"];
    assert_eq!(condition["properties"], json!(["otherMails", "signInEmail"]), "{json}");
}

#[test]
fn what_cannot_be_planned_is_shown_as_the_dead_letter_it_would_become() {
    let (text, json) = plan(b"hello");
    assert!(text.starts_with("dead letter BodyUndecodable\nbecause     "), "{text}");
    assert_eq!(json["deadLetter"]["reason"], "BodyUndecodable");
    let (text, json) = plan(&body("me"));
    assert!(text.contains("dead letter UserLinkInvalid\n"), "{text}");
    assert_eq!(json["changes"][0]["deadLetter"]["reason"], "UserLinkInvalid");
}

#[test]
fn a_change_that_needs_nothing_says_why() {
    let (text, json) = plan(&body(""));
    assert!(text.ends_with("nothing     the contact has no user: its link column is empty\n"), "{text}");
    assert_eq!(json["changes"][0]["nothing"], "not-a-portal-user");
}

/// The preview of one write when Graph has answered.
fn compared(written: &[&str], superseded: &[&str]) -> Preview {
    let planner = Planner::new(Mapping::preset_default());
    let mut preview = preview(&planner, &body("6A1E2C1E-6c2d-4b0e-9a44-3d0f5c1f7b10"));
    let named = |names: &[&str]| names.iter().map(|name| Property::named(name).expect("known")).collect();
    let difference = Difference { properties: named(written), superseded: named(superseded) };
    preview.writes[0].compared = Some(Compared::Differs(difference));
    preview
}

#[test]
fn one_write_makes_a_message_written_and_newer_values_make_it_stale() {
    for (written, superseded, expected) in [
        (&["givenName"][..], &["surname"][..], ("write", "givenName")),
        (&[], &["surname"], ("stale", "newer values are there")),
        (&[], &[], ("same", "the user has these values")),
    ] {
        let (outcome, detail) = outcome(&compared(written, superseded));
        assert_eq!((outcome, &*detail), expected);
    }
}

#[test]
fn what_would_not_be_written_says_whether_it_is_so_or_has_been_overtaken() {
    for (written, superseded, word, expected) in [
        (&["givenName"][..], &["surname"][..], "would write  user", "; a newer change has set surname"),
        (
            &[],
            &["surname"],
            "stale        user",
            "; Graph has givenName already; a newer change has set surname",
        ),
        (&[], &["givenName", "surname"], "stale        user", "; a newer change has set givenName, surname"),
        (&[], &[], "same         user", "; Graph has givenName, surname already"),
        (&["givenName", "surname"], &[], "would write  user", "; none of it is so yet"),
    ] {
        let preview = compared(written, superseded);
        let lines = lines(&preview, Values::Hidden);
        assert!(lines[0].starts_with(word), "{lines:?}");
        assert!(lines[0].ends_with(&format!("givenName, surname{expected}")), "{lines:?}");
        let json = json(&preview, Values::Hidden);
        assert_eq!(json["writes"][0]["newer"], json!(superseded));
    }
}

#[test]
fn values_are_told_only_to_those_who_ask() {
    let planner = Planner::new(Mapping::preset_default());
    let preview = preview(&planner, &body("6A1E2C1E-6c2d-4b0e-9a44-3d0f5c1f7b10"));
    for (values, told) in [(Values::Shown, true), (Values::Hidden, false)] {
        let details = Details { planner: &planner, values, columns: true };
        let texts = [
            details.text(&preview),
            details.json(&preview).to_string(),
            lines(&preview, values).concat(),
            json!(json(&preview, values)).to_string(),
        ];
        for text in texts {
            assert_eq!(text.contains("Ada"), told, "{text}");
            assert!(text.contains("givenName"), "{text}");
        }
    }
}
