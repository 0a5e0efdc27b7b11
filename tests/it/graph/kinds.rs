//! What each preset makes of one change of address for each kind of user, as a table: planned, merged with the user as Graph
//! shows him, and no call made.

use jiff::Timestamp;
use shared::{
    admission::Person,
    change::{Change, ChangeOrigin, ColumnValue, Columns, Operation},
    engine::Planned,
    identities::ObjectIdentity,
    ids::{ContactId, SequenceNumber},
    mapping::Mapping,
    patch::PropertyValue,
    plan::{Plan, Planner},
    property::Property,
    reconcile::{Current, ReadPolicy, reconcile},
};
use uuid::Uuid;

const USER: &str = "11111111-2222-4333-8444-555555555555";
const DOMAIN: &str = "contoso.onmicrosoft.com";
const OLD: &str = "old@example.com";
const NEW: &str = "new@example.com";

fn columns(columns: &[(&'static str, &str)]) -> Columns {
    columns.iter().map(|(name, value)| (*name, ColumnValue::Text((*value).into()))).collect()
}

/// A change of address and name, with a pre image of both or of the link only.
fn change(image: bool) -> Change {
    let link = ("adx_identity_username", USER);
    let before: &[_] = if image { &[link, ("emailaddress1", OLD)] } else { &[link] };
    Change {
        contact: ContactId(Uuid::from_u128(7)),
        operation: Operation::Update,
        organization: None,
        version: None,
        columns: columns(&[("emailaddress1", NEW), ("firstname", "Ada")]),
        before: columns(before),
        after: Columns::default(),
        truncated: false,
        imaged: true,
        origin: ChangeOrigin::default(),
    }
}

fn identity(kind: &str, id: &str) -> ObjectIdentity {
    let issuer = match kind {
        "code" => "mail",
        "federated" => "google.com",
        _ => DOMAIN,
    };
    ObjectIdentity::new(if kind == "code" { "federated" } else { kind }, issuer, id)
}

/// A kind of user: his identities beside the principal name, and whether he is a guest.
struct Kind {
    name: &'static str,
    identities: Option<Vec<ObjectIdentity>>,
    is_guest: bool,
}

fn kinds() -> Vec<Kind> {
    let of = |name, identities: &[(&str, &str)]| Kind {
        name,
        identities: Some(identities.iter().map(|(kind, id)| identity(kind, id)).collect()),
        is_guest: false,
    };
    let odd = ObjectIdentity { json: Some("{\"signInType\":null}".into()), ..ObjectIdentity::default() };
    vec![
        of("password", &[("emailAddress", OLD)]),
        of("code", &[("code", OLD)]),
        of("password and code", &[("emailAddress", OLD), ("code", OLD)]),
        Kind { is_guest: true, ..of("guest with a code", &[("code", OLD)]) },
        of("social", &[("federated", "118")]),
        of("user name", &[("userName", "ada")]),
        of("two addresses", &[("emailAddress", "x@example.com"), ("emailAddress1", OLD)]),
        of("there already", &[("emailAddress", NEW)]),
        Kind { identities: Some(vec![odd, identity("emailAddress", OLD)]), ..of("one unknown beside", &[]) },
        of("custom type", &[("loyaltyCard", "77"), ("emailAddress", OLD)]),
        of("none", &[]),
        Kind { identities: None, ..of("not shown", &[]) },
    ]
}

/// What of the identities changes, part by part of the change.
fn told(mapping: Mapping, kind: &Kind, image: bool) -> Vec<String> {
    let Plan::Write { user, patch } = Planner::new(mapping).plan(&change(image)) else { panic!("no write") };
    let others = PropertyValue::List(["x@elsewhere.example".into(), OLD.into()].into());
    let list = Property::named("otherMails").expect("known");
    let current = Current {
        person: Person {
            identities: kind.identities.clone(),
            user_type: Some(if kind.is_guest { "Guest" } else { "Member" }.into()),
            owner: None,
        },
        values: vec![(list, others)],
        ..Current::default()
    };
    let part = |patch| {
        let (contact, version) = (ContactId(Uuid::from_u128(7)), None);
        let write = Planned { user, contact, organization: None, version, read: None, patch, member: None };
        let write = write.alone(Timestamp::UNIX_EPOCH, SequenceNumber(1));
        match reconcile(&write, &current, &ReadPolicy::default()) {
            Err(withheld) => format!("{:?}", withheld.reason()),
            Ok(done) => {
                let body = done.body.unwrap_or_default();
                let mut words: Vec<_> = body
                    .properties
                    .iter()
                    .map(|(property, value)| match value {
                        PropertyValue::Text(text) => format!("{property}={text}"),
                        PropertyValue::List(list) => format!("{property}={}", list.join("+")),
                        value => panic!("{value:?}"),
                    })
                    .collect();
                if let Some(list) = &body.identities {
                    let before = kind.identities.as_deref().unwrap_or_default();
                    assert_eq!(list.len(), before.len(), "{}: something was lost", kind.name);
                    let moved = before.iter().zip(list).filter(|(before, after)| before != after);
                    let moved = moved.map(|(before, after)| {
                        let same = ObjectIdentity {
                            issuer_assigned_id: before.issuer_assigned_id.clone(),
                            ..after.clone()
                        };
                        assert_eq!(same, *before, "{}: only the id may change", kind.name);
                        format!(
                            "{} {}>{}",
                            before.sign_in_type, before.issuer_assigned_id, after.issuer_assigned_id
                        )
                    });
                    words.extend(moved);
                }
                words.join(" ")
            }
        }
    };
    patch.parted().map(part).collect()
}

#[test]
fn each_preset_moves_the_address_of_each_kind_of_user_and_nothing_else() {
    const LIST: &str = "otherMails=x@elsewhere.example+new@example.com";
    // What becomes of the identities: with a pre image of the address, and without.
    let moved = |kind: &str| format!(" {kind} {OLD}>{NEW}");
    for kind in kinds() {
        let (imaged, blind): (Result<String, &str>, Result<String, &str>) = match kind.name {
            "password" | "custom type" | "one unknown beside" => {
                (Ok(moved("emailAddress")), Ok(moved("emailAddress")))
            }
            "code" => (Ok(moved("federated")), Ok(moved("federated"))),
            "password and code" => {
                let both = format!("{}{}", moved("emailAddress"), moved("federated"));
                (Ok(both.clone()), Ok(both))
            }
            "two addresses" => (Ok(moved("emailAddress1")), Err("SignInAmbiguous")),
            "not shown" => (Err("GraphRefused"), Err("GraphRefused")),
            _ => (Ok(String::new()), Ok(String::new())),
        };
        for (image, expected) in [(true, imaged), (false, blind)] {
            let list =
                if image { LIST.to_owned() } else { format!("otherMails={NEW}+x@elsewhere.example+{OLD}") };
            let with = |addresses: String| match &expected {
                Ok(identities) => format!("{addresses}{identities}"),
                Err(reason) => (*reason).to_owned(),
            };
            let name = "givenName=Ada".to_owned();
            let mail = format!("mail={NEW}");
            let told = |mapping| told(mapping, &kind, image);
            let what = format!("{}, pre image: {image}", kind.name);
            assert_eq!(told(Mapping::preset_default()), [name.clone(), mail.clone()], "default, {what}");
            assert_eq!(told(Mapping::preset_b2c()), [name.clone(), with(list.clone())], "b2c, {what}");
            let all = format!("{mail} {list}");
            assert_eq!(told(Mapping::preset_external_id()), [name, with(all)], "external_id, {what}");
        }
    }
}
