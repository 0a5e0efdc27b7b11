//! Tables and laws of comparing two directories.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    admission::{Person, Terms},
    hash_key::HashKey,
    identities::ObjectIdentity,
    ids::{ContactId, UserId},
    mapping::{Mapping, MappingRow, ValueSource},
    patch::PropertyValue,
    plan::{IdentityIssuer, LinkRule, Planner},
    property::Property,
    reconcile::Current,
};

const KEY: HashKey = HashKey::new([7; 32]);

fn property(name: &str) -> Property {
    Property::named(name).expect("known")
}

fn presets() -> ComparisonScope {
    ComparisonScope::of(&Mapping::preset_b2c(), &Mapping::preset_external_id())
}

/// A user whom the worker has given these values: with an address to sign in, and with addresses of somebody else.
fn user(address: &str, names: [&str; 2], others: &[&str], signs_in: bool) -> Current {
    let text = |text: &str| PropertyValue::Text(text.into());
    let list = [address].iter().chain(others).map(|one| (*one).into()).collect();
    let identity = ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", address);
    Current {
        person: Person {
            identities: Some(if signs_in { vec![identity] } else { Vec::new() }),
            ..Person::default()
        },
        values: vec![
            (property("mail"), text(address)),
            (property("otherMails"), PropertyValue::List(list)),
            (property("givenName"), text(names[0])),
            (property("surname"), text(names[1])),
        ],
        ..Current::default()
    }
}

fn set(user: &mut Current, name: &str, value: PropertyValue) {
    user.values.retain(|(known, _)| known.name() != name);
    user.values.push((property(name), value));
}

fn differing(scope: &ComparisonScope, one: &Current, other: &Current) -> Vec<String> {
    let [one, other] =
        [(one, 0), (other, 1)].map(|(user, side)| UserFacets::of(&KEY, &scope.read[side], user));
    let places = scope.differing(&one, &other);
    places.iter().map(|place| scope.compared[usize::from(*place)].property.to_string()).collect()
}

const ADA: &str = "ada@example.com";

#[test]
fn presets_are_compared_in_all_that_they_write() {
    let scope = presets();
    let names: Vec<_> = scope.compared.iter().map(|compared| compared.property.to_string()).collect();
    assert_eq!(names, ["otherMails", "signInEmail", "givenName", "surname", "mail"]);
    assert_eq!(scope.left, [Vec::new(), Vec::new()]);
}

#[test]
fn what_one_directory_alone_has_and_what_comes_of_other_columns_is_not_compared() {
    let row = |column: &str, name: &str| MappingRow::new(ValueSource::Column(column.into()), property(name));
    let one =
        Mapping::new(vec![row("firstname", "givenName"), row("jobtitle", "jobTitle"), row("a", "city")]);
    let other = Mapping::new(vec![row("firstname", "givenName"), row("b", "city")]);
    let scope = ComparisonScope::of(&one.expect("good"), &other.expect("good"));
    assert_eq!(scope.compared.len(), 1);
    assert_eq!(scope.left, [vec![property("jobTitle"), property("city")], vec![property("city")]]);
}

#[test]
fn each_property_that_differs_is_named() {
    let scope = presets();
    let as_written = || user(ADA, ["Ada", "King"], &[], true);
    let check = |name: &str, value: PropertyValue, expected: &[&str]| {
        let mut changed = as_written();
        set(&mut changed, name, value);
        assert_eq!(differing(&scope, &as_written(), &changed), expected, "{name}");
    };
    let text = |text: &str| PropertyValue::Text(text.into());
    check("givenName", text("Eve"), &["givenName"]);
    check("surname", PropertyValue::Clear, &["surname"]);
    check("mail", text("eve@example.com"), &["mail"]);
    check("mail", PropertyValue::Clear, &["mail"]);
    check("mail", text("ADA@example.com"), &[]);
    check("otherMails", PropertyValue::List(Box::default()), &["otherMails"]);
    // The first directory has no mail that anybody wrote.
    let mut changed = as_written();
    set(&mut changed, "mail", PropertyValue::Clear);
    assert_eq!(differing(&scope, &changed, &as_written()), [""; 0]);
    let moved = user("eve@example.com", ["Ada", "King"], &[], true);
    assert_eq!(differing(&scope, &as_written(), &moved), ["otherMails", "signInEmail", "mail"]);
    let social = user("eve@example.com", ["Ada", "King"], &[], false);
    assert_eq!(differing(&scope, &as_written(), &social), ["otherMails", "mail"]);
}

#[test]
fn a_contact_is_named_by_what_both_directories_know() {
    let planner = |rules: Vec<LinkRule>| Planner { rules, ..Planner::new(Mapping::preset_default()) };
    let ways = |rules, owner: Option<&str>| {
        let terms = Terms { owner: owner.map(property), ..Terms::default() };
        ContactNaming::of(&planner(rules), &terms)
    };
    let column: Box<str> = Planner::DEFAULT_LINK_COLUMN.into();
    let by_identity =
        || vec![LinkRule::Identity { issuer: IdentityIssuer::Fixed("idp".into()), id: column.clone() }];
    let by_other = || vec![LinkRule::ObjectId("new_externalid".into())];
    let shared = |one: &[ContactNaming], other: &[ContactNaming]| ContactNaming::shared_by(one, other);

    let object_id = ContactNaming::ObjectId(column.clone());
    assert_eq!(
        shared(&ways(vec![], None), &ways(vec![], None)),
        Some([object_id.clone(), object_id.clone()])
    );
    let identity = ContactNaming::Identity { issuer: "idp".into(), column: column.clone() };
    assert_eq!(shared(&ways(vec![], None), &ways(by_identity(), None)), Some([object_id, identity]));
    assert_eq!(shared(&ways(vec![], None), &ways(by_other(), None)), None);
    let attribute = |name: &str| ContactNaming::Attribute(property(name));
    assert_eq!(
        shared(&ways(vec![], Some("extensionAttribute1")), &ways(by_other(), Some("extensionAttribute2"))),
        Some([attribute("extensionAttribute1"), attribute("extensionAttribute2")])
    );
    let by_attribute = vec![LinkRule::Attribute("extensionAttribute3".into())];
    assert_eq!(
        shared(&ways(by_attribute, None), &ways(vec![], Some("extensionAttribute2"))),
        Some([attribute("extensionAttribute3"), attribute("extensionAttribute2")])
    );
}

#[test]
fn a_user_names_its_contact_in_any_spelling_and_nobody_by_another_text() {
    let id = UserId(Uuid::from_u128(5));
    let attribute = ContactNaming::Attribute(property("extensionAttribute1"));
    let with = |text: &str| {
        let mut current = Current::default();
        set(&mut current, "extensionAttribute1", PropertyValue::Text(text.into()));
        attribute.read(id, &current)
    };
    let contact = Uuid::from_u128(0xada);
    for text in [contact.to_string(), contact.to_string().to_uppercase(), format!(" {{{contact}}} ")] {
        assert_eq!(with(&text), Some(NamedContact::Contact(ContactId(contact))), "{text}");
    }
    assert_eq!(with("cs1|z:abcd"), None);
    let federated = ObjectIdentity::new("federated", "idp", "{00000000-0000-0000-0000-000000000005}");
    let person = Person { identities: Some(vec![federated]), ..Person::default() };
    let current = Current { person, ..Current::default() };
    let identity = ContactNaming::Identity { issuer: "IDP".into(), column: "c".into() };
    let by_id = ContactNaming::ObjectId("c".into()).read(id, &current);
    assert_eq!(identity.read(id, &current), by_id, "the object id there is the id of the issuer here");
}

fn read(contact: u8, user: u128, facets: &UserFacets) -> ReadUser {
    ReadUser { contact: [contact; 16], user: UserId(Uuid::from_u128(user)), facets: facets.clone() }
}

#[test]
fn users_are_paired_by_contact_and_whoever_is_alone_or_one_of_several_is_told() {
    let scope = presets();
    let facets = |address: &str| {
        Side::BOTH.map(|side| {
            UserFacets::of(&KEY, &scope.read[side.index()], &user(address, ["Ada", "King"], &[], true))
        })
    };
    let ([one, other], [_, moved]) = (facets(ADA), facets("eve@example.com"));
    let mut directories = [DirectoryUsers::default(), DirectoryUsers::default()];
    for (contact, user) in [(1, 11), (2, 12), (3, 13), (5, 15), (5, 16), (5, 16), (1, 11)] {
        directories[0].add(read(contact, user, &one));
    }
    for (contact, user, facets) in [(1, 21, &other), (2, 22, &moved), (4, 24, &other), (5, 25, &other)] {
        directories[1].add(read(contact, user, facets));
    }
    let id = |number: u128| UserId(Uuid::from_u128(number));
    let found = findings(&scope, &directories);
    let expected = Findings {
        agree: 1,
        differ: vec![UserPair { users: [id(12), id(22)], differing: vec![0, 1, 4] }],
        alone: [vec![id(13)], vec![id(24)]],
        several: [vec![id(15), id(16)], vec![id(25)]],
        ..Findings::default()
    };
    assert_eq!((found.differences(), found), (6, expected));
}

fn address() -> impl Strategy<Value = String> {
    "[a-d]{1,3}@example\\.com"
}

proptest! {
    /// The same contact, applied to both, leaves no difference, whoever else has put what into the lists.
    #[test]
    fn users_who_were_written_alike_agree(
        address in address(), others in [prop::collection::vec(address(), 0..3), prop::collection::vec(address(), 0..3)],
        names in ["[A-C]{0,2}", "[A-C]{0,2}"], signs_in in any::<[bool; 2]>(), loud in any::<bool>(),
    ) {
        let names = [&*names[0], &*names[1]];
        let users = [0, 1].map(|side| {
            let others: Vec<_> = others[side].iter().map(String::as_str).collect();
            let address = if loud && side == 1 { address.to_uppercase() } else { address.clone() };
            user(&address, names, &others, signs_in[side])
        });
        prop_assert_eq!(differing(&presets(), &users[0], &users[1]), [""; 0]);
    }

    /// Whichever directory is named first, the same is found.
    #[test]
    fn the_order_of_the_directories_does_not_matter(
        one in address(), other in address(), lists in [prop::collection::vec(address(), 0..3), prop::collection::vec(address(), 0..3)],
        names in ["[AB]", "[AB]"], signs_in in any::<[bool; 2]>(),
    ) {
        let (b2c, external) = (Mapping::preset_b2c(), Mapping::preset_external_id());
        let made = [(&one, 0), (&other, 1)].map(|(address, side)| {
            let others: Vec<_> = lists[side].iter().map(String::as_str).collect();
            user(address, [&names[side], "King"], &others, signs_in[side])
        });
        let mut found = differing(&ComparisonScope::of(&b2c, &external), &made[0], &made[1]);
        let mut turned = differing(&ComparisonScope::of(&external, &b2c), &made[1], &made[0]);
        found.sort();
        turned.sort();
        prop_assert_eq!(found, turned);
    }

    #[test]
    fn what_is_kept_of_a_user_is_read_back_and_nothing_else_is(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let scope = presets();
        let facets = UserFacets::of(&KEY, &scope.read[0], &user(ADA, ["Ada", "King"], &[], true));
        let count = scope.read[0].len();
        prop_assert_eq!(UserFacets::parse(facets.bytes(), count), Some(facets.clone()));
        prop_assert_eq!(UserFacets::parse(facets.bytes(), count + 1), None);
        if let Some(read) = UserFacets::parse(&bytes, count) {
            prop_assert_eq!(scope.differing(&read, &read), [0_u8; 0]);
        }
    }

    /// Without the key a hash tells nothing.
    #[test]
    fn another_key_gives_other_hashes(one in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        prop_assume!(one != other);
        let named = NamedContact::Contact(ContactId(Uuid::from_u128(1)));
        prop_assert_ne!(named.hash(&HashKey::new(one)), named.hash(&HashKey::new(other)));
    }
}
