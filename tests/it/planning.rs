//! From bodies to what a message asks for: which members of a bulk message are written, which messages are known,
//! and what the mark of a cut message is worth.

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::{
    engine::Intake,
    mapping::{Convert, Mapping, MappingRow, OnInvalid, OnNull, ValueSource},
    outcome::Outcome,
    plan::{Planner, SkipReason},
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
};
use tests::quick::{contact, user};
use uuid::Uuid;

const NOBODY: Uuid = Uuid::nil();

/// Columns that link to that user and set a first name.
fn linked(number: u128) -> Value {
    json!({"adx_identity_username": user(number), "firstname": "Ada"})
}

fn entity(kind: &str, id: Uuid, table: &str, columns: &Value) -> Value {
    let attributes = columns.as_object().into_iter().flatten();
    let attributes: Vec<_> = attributes.map(|(key, value)| json!({"key": key, "value": value})).collect();
    let mut entity = json!({"Attributes": attributes, "Id": id, "LogicalName": table});
    if !kind.is_empty() {
        entity["__type"] = json!(format!("{kind}:http://schemas.microsoft.com/xrm/2011/Contracts"));
    }
    entity
}

fn targets(members: &[(Uuid, Value)]) -> Value {
    let entities: Vec<_> = members.iter().map(|(id, columns)| entity("", *id, "contact", columns)).collect();
    json!({"__type": "EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts",
        "Entities": entities, "EntityName": "contact"})
}

fn context(message: &str, table: &str, primary: Uuid, inputs: &[(&str, Value)], after: &Value) -> Value {
    let inputs: Vec<_> = inputs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let images = if after.is_null() {
        json!([])
    } else {
        json!([{"key": "Post", "value": entity("", primary, "contact", after)}])
    };
    json!({"MessageName": message, "PrimaryEntityName": table, "PrimaryEntityId": primary,
        "OperationCreatedOn": "/Date(1710408413000+0000)/", "InputParameters": inputs, "PostEntityImages": images})
}

fn intake(context: &Value, marked: bool) -> Intake {
    let body = serde_json::to_vec(context).expect("serializes");
    Intake::of(&body, None, marked, &Planner::new(Mapping::preset_default()))
}

/// The numbers of the users that would be written, and the dead letter.
fn outcome(intake: Intake) -> (Vec<u128>, Option<DeadLetter>) {
    match intake {
        Intake::Work(planned, failures) => {
            let number = |id: String| (1..10).find(|number| user(*number).to_string() == id);
            let users =
                planned.iter().map(|one| number(one.user.to_string()).expect("one of ours")).collect();
            (users, failures.letter())
        }
        Intake::Settle(outcome) => (Vec::new(), outcome.letter().cloned()),
        Intake::LookUp(_) | Intake::Read(_) => panic!("every message names its user"),
    }
}

/// One end of one message in a word.
fn told(context: &Value, marked: bool) -> String {
    match intake(context, marked) {
        Intake::Work(..) => "write".to_owned(),
        Intake::Settle(Outcome::Unchanged(why)) => why.as_str().to_owned(),
        Intake::LookUp(_) => "look up".to_owned(),
        Intake::Read(_) => "read row".to_owned(),
        Intake::Settle(outcome) => outcome.letter().expect("a dead letter").reason.to_string(),
    }
}

proptest! {
    #[test]
    fn a_message_about_several_is_what_each_of_its_contacts_would_be_alone(
        good in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let bad = json!({"adx_identity_username": "ada", "firstname": "B"});
        let member =
            |(number, good): (u128, &bool)| (contact(number), if *good { linked(number) } else { bad.clone() });
        let members: Vec<_> = (1..).zip(&good).map(member).collect();
        let inputs = [("Targets", targets(&members))];
        let body = context("UpdateMultiple", "contact", NOBODY, &inputs, &Value::Null);
        let (users, letter) = outcome(intake(&body, false));
        let text = letter.map_or_else(String::new, |letter| letter.description.as_str().to_owned());
        for (number, good) in (1..).zip(&good) {
            prop_assert_eq!(users.contains(&number), *good);
            prop_assert_eq!(text.contains(&format!("number {number} (contact {})", contact(number))), !good);
        }
    }
}

#[test]
fn members_that_cannot_be_planned_do_not_keep_the_others_from_being_written() {
    use DeadLetterReason::{
        BodyUndecodable, MessageNotSupported, UserLinkInvalid, UserLinkUnknown, ValueInvalid,
    };

    let all = ["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "RestoreMultiple"];
    let updates = &all[1..];
    let cases: &[(&str, &[&str], Uuid, Value, DeadLetterReason)] = &[
        (
            "no id as link",
            &all,
            contact(2),
            json!({"adx_identity_username": "ada", "firstname": "B"}),
            UserLinkInvalid,
        ),
        ("no link", updates, contact(2), json!({"firstname": "B"}), UserLinkUnknown),
        (
            "too long",
            &all,
            contact(2),
            json!({"adx_identity_username": user(2), "firstname": "x".repeat(65)}),
            ValueInvalid,
        ),
        ("no contact id", &all, NOBODY, linked(2), BodyUndecodable),
        ("nothing mapped", &all[3..], contact(2), json!({"jobtitle": "Countess"}), MessageNotSupported),
    ];
    for (name, messages, id, columns, reason) in cases {
        for message in *messages {
            let members = [(contact(1), linked(1)), (*id, columns.clone()), (contact(3), linked(3))];
            let body = context(message, "contact", NOBODY, &[("Targets", targets(&members))], &Value::Null);
            let (users, letter) = outcome(intake(&body, false));
            let letter = letter.unwrap_or_else(|| panic!("{message}, {name}: nobody is told"));
            assert_eq!((users, letter.reason), (vec![1, 3], *reason), "{message}, {name}");
            let text = letter.description.as_str();
            assert!(text.contains("counted from 1: number 2"), "{text}");
            assert!(id.is_nil() || text.contains(&format!("(contact {id})")), "{text}");
            assert!(!text.contains("register a post image"), "{message} has no images: {text}");
        }
    }
}

#[test]
fn what_is_no_portal_user_is_no_failure_and_of_several_failures_the_first_gives_the_reason() {
    let nobody = json!({"adx_identity_username": null, "firstname": "B"});
    let bad = json!({"adx_identity_username": "ada", "firstname": "B"});
    let long = json!({"adx_identity_username": user(4), "firstname": "x".repeat(65)});
    let message = |members: &[(Uuid, Value)]| {
        let inputs = [("Targets", targets(members))];
        outcome(intake(&context("UpdateMultiple", "contact", NOBODY, &inputs, &Value::Null), false))
    };
    assert_eq!(message(&[(contact(1), linked(1)), (contact(2), nobody.clone())]), (vec![1], None));
    assert_eq!(message(&[]), (vec![], None));
    let (users, letter) =
        message(&[(contact(1), nobody), (contact(2), long), (contact(3), bad), (contact(4), linked(4))]);
    let letter = letter.expect("two failed");
    assert_eq!((users, letter.reason), (vec![4], DeadLetterReason::ValueInvalid));
    let text = letter.description.as_str();
    assert!(
        text.starts_with("2 of the contacts") && text.contains("number 2") && text.contains("number 3"),
        "{text}"
    );
}

#[test]
fn a_message_of_an_unknown_name_is_an_update_or_is_told_and_never_passed_over() {
    let target = |table, columns: Value| [("Target", entity("Entity", contact(1), table, &columns))];
    let reference = [(
        "Target",
        json!({"__type": "EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts",
            "Id": contact(1), "LogicalName": "contact"}),
    )];
    let about = |message, inputs: &[(&str, Value)], after: &Value| {
        told(&context(message, "contact", contact(1), inputs, after), false)
    };
    let link = json!({"adx_identity_username": user(1)});
    let named = target("contact", json!({"firstname": "Ada"}));
    for (message, inputs, after, expected) in [
        ("Restore", &named[..], &link, "write"),
        ("Restore", &named[..], &Value::Null, "UserLinkUnknown"),
        ("Restore", &target("contact", json!({"jobtitle": "Countess"}))[..], &link, "MessageNotSupported"),
        ("Restore", &target("account", json!({"firstname": "Ada"}))[..], &link, "MessageNotSupported"),
        ("new_Promote", &reference[..], &link, "MessageNotSupported"),
        ("new_Promote", &[("Reason", json!("text"))][..], &Value::Null, "MessageNotSupported"),
        ("new_Promote", &[][..], &Value::Null, "MessageNotSupported"),
    ] {
        assert_eq!(about(message, inputs, after), expected, "{message} with {inputs:?}");
    }
    // What certainly changes no column needs nothing, and says so.
    for message in ["Associate", "Disassociate", "Retrieve", "GrantAccess", "Delete", "Assign", "SetState"] {
        assert_eq!(
            about(message, &reference, &Value::Null),
            SkipReason::OperationIgnored.as_str(),
            "{message}"
        );
    }
    assert_eq!(told(&context("new_Bill", "none", NOBODY, &[], &Value::Null), false), "MessageNotSupported");
    assert_eq!(told(&context("new_Bill", "account", contact(1), &[], &Value::Null), false), "WrongEntity");
}

#[test]
fn the_name_of_an_unknown_message_is_told_only_if_it_can_be_one() {
    let text = |message: &str| {
        let (_, letter) = outcome(intake(&context(message, "contact", contact(1), &[], &Value::Null), false));
        letter.expect("a dead letter").description.as_str().to_owned()
    };
    assert!(text("new_Promote").starts_with("the message new_Promote is not one that contactsync knows"));
    for strange in ["Ada <a@b.c>", &"x".repeat(129), "a\nb"] {
        assert!(text(strange).starts_with("the message is not one that contactsync knows"), "{strange}");
    }
}

#[test]
fn the_mark_of_a_cut_message_counts_only_for_what_is_missing() {
    let link = json!({"adx_identity_username": user(1)});
    let empty = json!({"jobtitle": "Countess"});
    let name = [("Target", entity("Entity", contact(1), "contact", &json!({"firstname": "Ada"})))];
    let alone = [("Target", entity("Entity", contact(1), "contact", &link))];
    let other = [("SuppressDuplicateDetection", json!(false))];
    for (what, inputs, after, marked, unmarked) in [
        ("a whole body", &name[..], &link, "write", "write"),
        ("images without a link", &name[..], &empty, "link-not-in-image", "link-not-in-image"),
        ("no image", &name[..], &Value::Null, "ContextTruncated", "UserLinkUnknown"),
        ("a new link and no image", &alone[..], &Value::Null, "ContextTruncated", "ColumnMissing"),
        ("no target", &other[..], &link, "ContextTruncated", "BodyUndecodable"),
        ("no parameters", &[][..], &Value::Null, "ContextTruncated", "ContextTruncated"),
    ] {
        let body = context("Update", "contact", contact(1), inputs, after);
        assert_eq!((told(&body, true).as_str(), told(&body, false).as_str()), (marked, unmarked), "{what}");
    }
    let body = context("UpdateMultiple", "contact", NOBODY, &other, &Value::Null);
    assert_eq!(told(&body, true), "ContextTruncated");
}

#[test]
fn what_to_do_fits_the_message_and_a_column_left_out_at_creation_is_empty() {
    let source = ValueSource::FirstOf(vec!["mobilephone".into(), "telephone1".into()]);
    let row = MappingRow::new(source, Property::named("mobilePhone").expect("known"));
    let planner = Planner::new(Mapping::new(vec![row]).expect("valid"));
    let columns = json!({"adx_identity_username": user(1), "mobilephone": null});
    let one = [("Target", entity("Entity", contact(1), "contact", &columns))];
    let several = [("Targets", targets(&[(contact(1), columns)]))];
    let (step, instead) = ("register a post image", "register the step on Create and Update instead");
    for (message, inputs, expected) in [
        ("Update", &one, Some((step, instead))),
        ("Upsert", &one, Some((instead, step))),
        ("Restore", &one, Some((instead, step))),
        ("UpdateMultiple", &several, Some((instead, step))),
        ("Create", &one, None),
        ("CreateMultiple", &several, None),
    ] {
        let primary = if message.ends_with("Multiple") { NOBODY } else { contact(1) };
        let body = serde_json::to_vec(&context(message, "contact", primary, inputs, &Value::Null));
        let letter = match Intake::of(&body.expect("serializes"), None, false, &planner) {
            Intake::Work(_, failures) => failures.letter(),
            Intake::Settle(outcome) => outcome.letter().cloned(),
            Intake::LookUp(_) | Intake::Read(_) => None,
        };
        assert_eq!(letter.is_some(), expected.is_some(), "{message}");
        if let (Some(letter), Some((told, never))) = (letter, expected) {
            let text = letter.description.as_str();
            assert!(text.contains(told) && !text.contains(never), "{message}: {text}");
        }
    }
}

#[test]
fn an_unknown_country_spoils_only_its_own_property_if_it_is_to_be_skipped() {
    let row = |column: &str, property| {
        MappingRow::new(ValueSource::Column(column.into()), Property::named(property).expect("known"))
    };
    for (country, skipped, expected) in [
        ("The Netherlands", OnInvalid::Skip, Some(vec!["givenName", "usageLocation"])),
        ("Atlantis", OnInvalid::Skip, Some(vec!["givenName"])),
        ("Atlantis", OnInvalid::Reject, None),
    ] {
        let location = MappingRow {
            convert: vec![Convert::Country],
            on_null: OnNull::Keep,
            on_invalid: skipped,
            ..row("address1_country", "usageLocation")
        };
        let mapping = Mapping::new(vec![row("firstname", "givenName"), location]).expect("valid");
        let columns = json!({"firstname": "Ada", "address1_country": country});
        let inputs = [("Target", entity("Entity", contact(1), "contact", &columns))];
        let body =
            context("Update", "contact", contact(1), &inputs, &json!({"adx_identity_username": user(1)}));
        let body = serde_json::to_vec(&body).expect("serializes");
        let written = match Intake::of(&body, None, false, &Planner::new(mapping)) {
            Intake::Work(planned, _) => {
                let patch = planned[0].patch.clone().into_iter();
                Some(patch.map(|(property, _)| property.name().to_owned()).collect::<Vec<_>>())
            }
            Intake::Settle(..) | Intake::LookUp(_) | Intake::Read(_) => None,
        };
        assert_eq!(
            written,
            expected.map(|names| names.iter().map(ToString::to_string).collect()),
            "{country}"
        );
    }
}
