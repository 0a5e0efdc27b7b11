//! What a second look at a user shows to have been undone.

use crate::{
    identities::{ObjectIdentity, Owner},
    mark::Mark,
    patch::{PatchEntry, PropertyValue, UserWrite},
    property::Property,
    reconcile::Current,
};

/// Properties whose written values somebody has undone whose call crossed ours: the mark shows an older version
/// or none, or it shows ours beside another value. The mark alone does not tell, because a third call that had
/// looked before can carry our version on over a value that is not ours any more. Where only differences are written
/// (`diff`), a value that was there already got no mark, so there the value alone tells.
#[must_use]
pub fn undone(write: &UserWrite, current: &Current, diff: bool) -> Vec<Property> {
    let mark = Mark::read(current.mark.as_deref().unwrap_or_default());
    // The address for password reset is no part of the user, and is looked at by a call of its own.
    let entries = write.entries.iter().filter(|entry| !entry.property.is_reset());
    let lost = entries.filter(|entry| {
        let (property, version) = (&entry.property, &entry.stamp.version);
        let unmarked = !diff && !mark.covers(property, version);
        !mark.is_newer(property, version) && (unmarked || differs(current, entry))
    });
    lost.map(|entry| entry.property.clone()).collect()
}

/// Whether the user shows another value. What cannot be seen does not count as different.
fn differs(current: &Current, entry: &PatchEntry) -> bool {
    match &entry.value {
        PropertyValue::SignIn(wanted) => {
            let owner = Owner { principal_name: None, is_guest: current.is_guest() };
            let emails =
                current.person.identities.iter().flatten().filter(|identity| owner.signs_in_by(identity));
            let has =
                |identity: &ObjectIdentity| identity.issuer_assigned_id.eq_ignore_ascii_case(&wanted.address);
            emails.clone().next().is_some() && !emails.clone().any(has)
        }
        PropertyValue::Element(wanted) => current.shown(&entry.property).is_some_and(|value| match value {
            PropertyValue::List(list) => {
                let has = |text: &str| list.iter().any(|element| element.eq_ignore_ascii_case(text));
                wanted.text.as_deref().map_or_else(|| wanted.giving_way().any(has), |text| !has(text))
            }
            _ => wanted.text.is_some(),
        }),
        value => current.shown(&entry.property).is_some_and(|shown| shown != value),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        admission::Person,
        ids::{SequenceNumber, UserId},
        lww_register::Stamp,
        patch::{ListElement, Previous, SignIn},
        priority::Priority,
        reconcile::{ReadPolicy, reconcile},
        version::Version,
    };

    fn write(name: &str, value: PropertyValue) -> UserWrite {
        let at = Timestamp::from_second(20).expect("small");
        let stamp = Stamp { version: Version::at(at), arrival: SequenceNumber(0) };
        let property = Property::named(name).expect("known");
        UserWrite {
            user: UserId(Uuid::from_u128(1)),
            entries: vec![PatchEntry { property, value, stamp }],
            known: Vec::new(),
            urgency: Priority::Live,
            contacts: Vec::new(),
        }
    }

    /// A user with this value and a mark that covers the write.
    fn marked(write: &UserWrite, current: Current) -> Current {
        let mut mark = Mark::default();
        for entry in &write.entries {
            mark.note(&entry.property, entry.stamp.version);
        }
        Current { mark: mark.write(1024).map(Into::into), ..current }
    }

    #[test]
    fn an_element_is_known_by_its_text_and_no_other_counts() {
        let previous = || Previous::Was("old@b.c".into());
        let moved = ListElement { previous: previous(), ..ListElement::of("new@b.c") };
        let emptied = ListElement { previous: previous(), ..ListElement::default() };
        let (moved, emptied) = (write("otherMails", moved.into()), write("otherMails", emptied.into()));
        for (write, has, expected) in [
            (&moved, &["x@y.z", "New@b.c"][..], false),
            (&moved, &["x@y.z", "old@b.c"], true),
            (&moved, &[], true),
            (&emptied, &["x@y.z"], false),
            (&emptied, &["x@y.z", "Old@b.c"], true),
        ] {
            let list = PropertyValue::List(has.iter().map(|text| (*text).into()).collect());
            let values = vec![(write.entries[0].property.clone(), list)];
            let current = marked(write, Current { values, ..Current::default() });
            assert_eq!(!undone(write, &current, false).is_empty(), expected, "{has:?}");
        }
    }

    #[test]
    fn an_address_is_undone_only_where_it_could_be_written() {
        let moved = write(Property::SIGN_IN, SignIn::to("new@b.c").into());
        for (kind, issuer, address, guest, expected) in [
            ("emailAddress", "contoso.onmicrosoft.com", "New@b.c", false, false),
            ("emailAddress", "contoso.onmicrosoft.com", "old@b.c", false, true),
            ("federated", "google.com", "118", false, false),
            ("federated", "mail", "old@b.c", false, true),
            ("federated", "mail", "old@b.c", true, false),
        ] {
            let person = Person {
                identities: Some(vec![ObjectIdentity::new(kind, issuer, address)]),
                user_type: Some(if guest { "Guest" } else { "Member" }.into()),
                owner: None,
            };
            let current = marked(&moved, Current { person, ..Current::default() });
            assert_eq!(
                !undone(&moved, &current, false).is_empty(),
                expected,
                "{kind} {issuer} {address} {guest}"
            );
        }
    }

    #[test]
    fn what_was_there_already_and_got_no_mark_is_not_undone() {
        let (name, mark) =
            (Property::named("givenName").expect("known"), Property::named("extensionAttribute15"));
        let same = write("givenName", PropertyValue::Text("Ada".into()));
        let shows = |text: &str| {
            let values = vec![(name.clone(), PropertyValue::Text(text.into()))];
            Current { values, ..Current::default() }
        };
        for diff in [true, false] {
            let reading = ReadPolicy { guard: mark.clone(), diff, ..ReadPolicy::default() };
            let done = reconcile(&same, &shows("Ada"), &reading).expect("clear");
            let body = done.body.unwrap_or_default();
            let marked = body.properties.iter().find(|(property, _)| Some(property) == mark.as_ref());
            let mark = marked.and_then(|(_, value)| value.text()).map(Into::into);
            assert_eq!(
                undone(&same, &Current { mark: mark.clone(), ..shows("Ada") }, diff),
                [],
                "diff: {diff}"
            );
            assert_eq!(undone(&same, &Current { mark, ..shows("Eve") }, diff), std::slice::from_ref(&name));
        }
    }
}
