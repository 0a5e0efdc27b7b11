//! What is left to write when a user has been looked at first: with the guard on, for a sign-in address, for an element
//! of a list, or when only differences are written.

use crate::{
    admission::{Person, Terms, Withheld},
    identities::{self, Edit, ObjectIdentity, Owner},
    lists::{self, ListEdit},
    mark::Mark,
    patch::{ListElement, MovesFrom, PatchEntry, PropertyValue, SignIn, UserWrite},
    property::{Property, PropertyKind},
};

/// What is read of a user before a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPolicy {
    /// Attribute that holds the mark, if the guard is on.
    pub guard: Option<Property>,
    /// Whether values that are there already are left out.
    pub diff: bool,
    /// What a user must be to be written.
    pub terms: Terms,
}

/// A user as Graph showed him.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Who he is.
    pub person: Person,
    /// The principal name, if it was asked for.
    pub principal_name: Option<Box<str>>,
    /// Values of properties that were asked for.
    pub values: Vec<(Property, PropertyValue)>,
    /// The attribute that holds the mark.
    pub mark: Option<Box<str>>,
}

/// What goes into the body of a PATCH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Ordinary properties, the mark among them.
    pub properties: Vec<(Property, PropertyValue)>,
    /// The whole list of identities, if one of them changes.
    pub identities: Option<Vec<ObjectIdentity>>,
}

/// What became of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// What is left to write.
    pub body: Option<Body>,
    /// Properties for which the mark shows a newer version than ours.
    pub superseded: Vec<Property>,
    /// Properties that the user has as they shall be, or that he cannot have.
    pub unchanged: Vec<Property>,
    /// Whether the mark shows that the row versions of the organization went back: its database was restored.
    pub went_back: bool,
}

impl Body {
    fn is_empty(&self) -> bool {
        self.properties.is_empty() && self.identities.is_none()
    }
}

impl Current {
    /// What was shown of a property.
    pub(crate) fn shown(&self, property: &Property) -> Option<&PropertyValue> {
        self.values.iter().find(|(known, _)| known == property).map(|(_, value)| value)
    }

    /// Whether he is a guest.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.person.user_type.as_ref().is_some_and(|kind| kind.eq_ignore_ascii_case("Guest"))
    }
}

impl ReadPolicy {
    /// Whether this write needs a look at the user.
    #[must_use]
    pub fn is_needed(&self, write: &UserWrite) -> bool {
        let own = self.guard.is_some() || self.diff || self.terms.need_a_look();
        own || write.entries.iter().any(|entry| is_sign_in(&entry.property) || is_list(&entry.property))
    }
}

fn is_sign_in(property: &Property) -> bool {
    property.rules().kind == PropertyKind::SignIn
}

/// Whether one element of it is the contact's, so that the others must be read to be kept.
fn is_list(property: &Property) -> bool {
    matches!(property.rules().kind, PropertyKind::List { .. })
}

fn list_name(property: &Property) -> &'static str {
    Property::names().find(|name| *name == property.name()).unwrap_or("the list")
}

/// The body of a write without a look at the user.
#[must_use]
pub fn blind(write: &UserWrite) -> Body {
    let properties =
        write.entries.iter().map(|entry| (entry.property.clone(), entry.value.clone())).collect();
    Body { properties, identities: None }
}

/// What is left of a write for a user who looks like this.
pub fn reconcile(write: &UserWrite, current: &Current, reading: &ReadPolicy) -> Result<Reconciled, Withheld> {
    let claim = reading.terms.admit(&write.contacts, &current.person)?;
    let seen = Mark::read(current.mark.as_deref().unwrap_or_default());
    let mut left = Left { mark: seen.clone(), ..Left::default() };
    for entry in &write.entries {
        let version = entry.stamp.version;
        if reading.guard.is_some() {
            if left.mark.is_newer(&entry.property, &version) {
                left.superseded.push(entry.property.clone());
                continue;
            }
            left.went_back |= seen.went_back(&entry.property, &version);
            left.mark.note(&entry.property, version);
        }
        left.entry(entry, Look { write, current, reading })?;
    }
    let Left { mut mark, mut body, superseded, unchanged, must_mark, went_back } = left;
    let writes = (must_mark && mark != seen) || !body.is_empty();
    body.properties.extend(claim.filter(|_| writes));
    if let (true, Some(attribute)) = (writes, &reading.guard) {
        for known in &write.known {
            mark.note(&known.property, known.stamp.version);
        }
        if let PropertyKind::Text { max } = attribute.rules().kind
            && let Some(text) = mark.write(max)
        {
            body.properties.push((attribute.clone(), PropertyValue::Text(text.into())));
        }
    }
    Ok(Reconciled { body: (!body.is_empty()).then_some(body), superseded, unchanged, went_back })
}

/// What is decided by.
#[derive(Clone, Copy)]
struct Look<'l> {
    write: &'l UserWrite,
    current: &'l Current,
    reading: &'l ReadPolicy,
}

/// What is gathered entry by entry.
#[derive(Default)]
struct Left {
    mark: Mark,
    body: Body,
    superseded: Vec<Property>,
    unchanged: Vec<Property>,
    /// Whether the version is to be written even if no value is.
    must_mark: bool,
    went_back: bool,
}

impl Left {
    fn entry(&mut self, entry: &PatchEntry, look: Look<'_>) -> Result<(), Withheld> {
        let Look { write, current, reading } = look;
        let property = &entry.property;
        let is_so =
            |value| reading.diff && current.shown(property) == Some(value) && is_last(write, property, value);
        match &entry.value {
            PropertyValue::SignIn(wanted) => return self.sign_in(entry, wanted, look),
            PropertyValue::Element(wanted) => return self.element(entry, wanted, look),
            // Nobody says whose element is to be taken out.
            PropertyValue::Clear if is_list(property) => {
                return self.element(entry, &ListElement::default(), look);
            }
            value if is_so(value) => self.unchanged.push(property.clone()),
            value => self.body.properties.push((property.clone(), value.clone())),
        }
        Ok(())
    }

    fn sign_in(&mut self, entry: &PatchEntry, wanted: &SignIn, look: Look<'_>) -> Result<(), Withheld> {
        let Look { write, current, reading } = look;
        let list = current.person.identities.as_deref().ok_or(Withheld::NotShown("identities"))?;
        let owner = Owner { principal_name: current.principal_name.as_deref(), is_guest: current.is_guest() };
        match identities::edit(list, wanted, last_of(write, wanted), owner) {
            // What this replica wrote after what it now reads has not come through yet.
            Edit::Present(list) if !is_last(write, &entry.property, &entry.value) => {
                self.body.identities = Some(list);
            }
            Edit::NoAddress | Edit::Present(_) => self.is_there(entry, reading),
            Edit::Replace(list) => self.body.identities = Some(list),
            Edit::Ambiguous => return Err(Withheld::Ambiguous),
            Edit::Bound if wanted.from == MovesFrom::Nowhere => return Err(Withheld::LinkAndAddress),
            Edit::Bound => return Err(Withheld::NotPrevious),
        }
        Ok(())
    }

    fn element(&mut self, entry: &PatchEntry, wanted: &ListElement, look: Look<'_>) -> Result<(), Withheld> {
        let Look { write, current, reading } = look;
        let property = &entry.property;
        let PropertyKind::List { most, .. } = property.rules().kind else { return Ok(()) };
        let list = match current.shown(property) {
            Some(PropertyValue::List(list)) => &**list,
            Some(PropertyValue::Clear) => &[],
            _ => return Err(Withheld::NotShown(list_name(property))),
        };
        let list = match lists::edit(list, wanted, most) {
            // What this replica wrote after what it now reads has not come through yet.
            ListEdit::Unchanged if !is_last(write, property, &entry.value) => list.into(),
            ListEdit::Unchanged => {
                self.is_there(entry, reading);
                return Ok(());
            }
            ListEdit::Replace(list) => list.into(),
            ListEdit::Unclear => return Err(Withheld::Unclear(list_name(property))),
            ListEdit::Full => return Err(Withheld::Full(list_name(property))),
        };
        self.body.properties.push((property.clone(), PropertyValue::List(list)));
        Ok(())
    }

    /// Nothing to write but the version: without it, an older value that arrives late would not be known to be older.
    fn is_there(&mut self, entry: &PatchEntry, reading: &ReadPolicy) {
        self.must_mark |= !reading.diff;
        self.unchanged.push(entry.property.clone());
    }
}

/// The address that this replica wrote last for the contact that now asks for another.
fn last_of<'w>(write: &'w UserWrite, wanted: &SignIn) -> Option<&'w str> {
    write.known.iter().find_map(|known| match &known.value {
        PropertyValue::SignIn(last) if last.contact.is_some() && last.contact == wanted.contact => {
            Some(&*last.address)
        }
        _ => None,
    })
}

/// Whether this replica has written no other value since: only then is a value that was read to be believed.
fn is_last(write: &UserWrite, property: &Property, value: &PropertyValue) -> bool {
    write.known.iter().filter(|known| known.property == *property).all(|known| known.value.is_like(value))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        ids::{ContactId, SequenceNumber, UserId},
        lww_register::Stamp,
        patch::Previous,
        priority::Priority,
        version::Version,
    };

    const ADA: ContactId = ContactId(Uuid::from_u128(0xada));
    const EVE: ContactId = ContactId(Uuid::from_u128(0xe7e));

    fn showing(identities: Vec<ObjectIdentity>) -> Current {
        Current { person: Person { identities: Some(identities), ..Person::default() }, ..Current::default() }
    }

    fn property(name: &str) -> Property {
        Property::named(name).expect("known")
    }

    fn text(text: &str) -> PropertyValue {
        PropertyValue::Text(text.into())
    }

    fn stamp(second: i64) -> Stamp {
        let at = Timestamp::from_second(second).expect("small");
        Stamp { version: Version::at(at), arrival: SequenceNumber(0) }
    }

    fn write(second: i64, entries: &[(&str, PropertyValue)]) -> UserWrite {
        let entry = |(name, value): &(&str, PropertyValue)| PatchEntry {
            property: property(name),
            value: value.clone(),
            stamp: stamp(second),
        };
        let entries = entries.iter().map(entry).collect();
        UserWrite {
            user: UserId(Uuid::from_u128(1)),
            entries,
            known: Vec::new(),
            urgency: Priority::Live,
            contacts: vec![ADA],
        }
    }

    fn guarded() -> ReadPolicy {
        ReadPolicy { guard: Some(property("extensionAttribute15")), ..ReadPolicy::default() }
    }

    fn after(reconciled: &Reconciled) -> Current {
        let body = reconciled.body.as_ref().expect("something to write");
        let (_, PropertyValue::Text(mark)) = body.properties.last().expect("the mark") else {
            panic!("no text")
        };
        Current { mark: Some(mark.clone()), ..Current::default() }
    }

    #[test]
    fn the_mark_travels_in_the_same_write_and_keeps_old_changes_out() {
        let newer =
            reconcile(&write(20, &[("mail", text("new"))]), &Current::default(), &guarded()).expect("clear");
        let current = after(&newer);
        let older = write(10, &[("mail", text("old")), ("surname", text("King"))]);
        let reconciled = reconcile(&older, &current, &guarded()).expect("clear");
        assert_eq!(reconciled.superseded, [property("mail")]);
        let body = reconciled.body.expect("the surname is left");
        assert_eq!(body.properties[0], (property("surname"), text("King")));
        assert_eq!(body.properties.len(), 2, "and the mark");
    }

    #[test]
    fn a_mark_that_lags_behind_does_not_make_a_replica_forget_what_it_has_written() {
        let mut next = write(20, &[("mail", text("new"))]);
        next.known = write(15, &[("surname", text("King"))]).entries;
        let current = after(&reconcile(&next, &Current::default(), &guarded()).expect("clear"));
        let older = reconcile(&write(10, &[("surname", text("old"))]), &current, &guarded()).expect("clear");
        assert_eq!(older, Reconciled { superseded: vec![property("surname")], ..Reconciled::default() });
    }

    #[test]
    fn what_a_lagging_read_shows_is_not_believed_against_what_was_written_last() {
        let reading = ReadPolicy { diff: true, ..ReadPolicy::default() };
        let current = Current { values: vec![(property("mail"), text("a@b.c"))], ..Current::default() };
        let mut back = write(30, &[("mail", text("a@b.c"))]);
        back.known = write(20, &[("mail", text("x@y.z"))]).entries;
        let body = reconcile(&back, &current, &reading).expect("clear").body.expect("it may have changed");
        assert_eq!(body.properties, [(property("mail"), text("a@b.c"))]);
        back.known = write(20, &[("mail", text("a@b.c"))]).entries;
        assert_eq!(reconcile(&back, &current, &reading).expect("clear").body, None);
    }

    #[test]
    fn an_address_that_is_there_already_is_marked_so_that_an_older_one_stays_out() {
        let address = |text: &str| PropertyValue::from(SignIn::to(text));
        let identity = ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", "new@example.com");
        let there = showing(vec![identity]);
        let same = write(20, &[(Property::SIGN_IN, address("new@example.com"))]);
        let marked = reconcile(&same, &there, &guarded()).expect("clear");
        assert_eq!(marked.body.as_ref().map(|body| &body.identities), Some(&None));
        let current = Current { mark: after(&marked).mark, ..there };
        let older = write(10, &[(Property::SIGN_IN, address("old@example.com"))]);
        let kept_out = reconcile(&older, &current, &guarded()).expect("clear");
        assert_eq!(kept_out.superseded, [property(Property::SIGN_IN)]);
    }

    #[test]
    fn a_write_that_is_entirely_old_is_not_made() {
        let newer =
            reconcile(&write(20, &[("mail", text("new"))]), &Current::default(), &guarded()).expect("clear");
        let older =
            reconcile(&write(10, &[("mail", text("old"))]), &after(&newer), &guarded()).expect("clear");
        assert_eq!(older, Reconciled { superseded: vec![property("mail")], ..Reconciled::default() });
    }

    #[test]
    fn with_diff_only_what_differs_is_written() {
        let current = Current {
            values: vec![(property("mail"), text("a@b.c")), (property("surname"), PropertyValue::Clear)],
            ..Current::default()
        };
        let reading = ReadPolicy { diff: true, ..ReadPolicy::default() };
        let both = write(1, &[("mail", text("a@b.c")), ("surname", text("King"))]);
        let body = reconcile(&both, &current, &reading).expect("clear").body.expect("the surname differs");
        assert_eq!(body.properties, [(property("surname"), text("King"))]);
        let same = write(1, &[("mail", text("a@b.c")), ("surname", PropertyValue::Clear)]);
        assert_eq!(reconcile(&same, &current, &reading).expect("clear").body, None);
    }

    #[test]
    fn a_sign_in_address_becomes_the_whole_list_beside_the_other_properties() {
        let address = PropertyValue::from(SignIn::to("new@example.com"));
        let wanted = write(1, &[("givenName", text("Ada")), (Property::SIGN_IN, address)]);
        let old = ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", "old@example.com");
        let current = showing(vec![old.clone()]);
        let body =
            reconcile(&wanted, &current, &ReadPolicy::default()).expect("clear").body.expect("a write");
        assert_eq!(body.properties, [(property("givenName"), text("Ada"))]);
        assert_eq!(
            body.identities,
            Some(vec![ObjectIdentity { issuer_assigned_id: "new@example.com".into(), ..old.clone() }])
        );
        let two = showing(vec![old.clone(), ObjectIdentity { issuer_assigned_id: "x@y.z".into(), ..old }]);
        assert_eq!(reconcile(&wanted, &two, &ReadPolicy::default()), Err(Withheld::Ambiguous));
    }

    #[test]
    fn an_address_that_may_not_be_moved_is_not_and_what_was_written_for_the_contact_last_counts_as_its_own() {
        let old = ObjectIdentity::new("emailAddress", "contoso.onmicrosoft.com", "old@example.com");
        let current = showing(vec![old]);
        let address = |text: &str, from: MovesFrom, contact: ContactId| {
            PropertyValue::from(SignIn { from, contact: Some(contact), ..SignIn::to(text) })
        };
        let ask = |from: MovesFrom, last: Option<ContactId>| {
            let mut wanted = write(20, &[(Property::SIGN_IN, address("new@example.com", from, ADA))]);
            let last = last.map(|contact| (Property::SIGN_IN, address("OLD@example.com", from, contact)));
            wanted.known = last.map(|last| write(10, &[last]).entries).unwrap_or_default();
            reconcile(&wanted, &current, &ReadPolicy::default()).map(|reconciled| reconciled.body.is_some())
        };
        assert_eq!(ask(MovesFrom::Nowhere, Some(ADA)), Err(Withheld::LinkAndAddress));
        assert_eq!(ask(MovesFrom::Previous, None), Err(Withheld::NotPrevious));
        assert_eq!(
            ask(MovesFrom::Previous, Some(EVE)),
            Err(Withheld::NotPrevious),
            "not what she had written"
        );
        assert_eq!(ask(MovesFrom::Previous, Some(ADA)), Ok(true));
    }

    #[test]
    fn a_user_is_claimed_in_the_same_write_and_not_for_nothing() {
        let terms = Terms { owner: Some(property("extensionAttribute14")), ..Terms::default() };
        let reading = ReadPolicy { diff: true, terms, ..guarded() };
        let wanted = write(10, &[("surname", text("King"))]);
        let body = reconcile(&wanted, &Current::default(), &reading).expect("hers").body.expect("a write");
        let names: Vec<_> = body.properties.iter().map(|(property, _)| property.name()).collect();
        assert_eq!(names, ["surname", "extensionAttribute14", "extensionAttribute15"]);
        assert_eq!(body.properties[1].1, text(&ADA.to_string()));
        let same = Current { values: vec![(property("surname"), text("King"))], ..Current::default() };
        assert_eq!(reconcile(&wanted, &same, &reading).expect("hers").body, None);
        let owned = Current {
            person: Person { owner: Some(EVE.to_string().into()), ..Person::default() },
            ..Current::default()
        };
        assert_eq!(reconcile(&wanted, &owned, &reading), Err(Withheld::OtherContact));
    }

    fn list(texts: &[&str]) -> PropertyValue {
        PropertyValue::List(texts.iter().map(|text| (*text).into()).collect())
    }

    fn element(text: &str, previous: &str) -> PropertyValue {
        ListElement { previous: Previous::Was(previous.into()), ..ListElement::of(text) }.into()
    }

    fn with_list(texts: &[&str]) -> Current {
        Current { values: vec![(property("otherMails"), list(texts))], ..Current::default() }
    }

    #[test]
    fn one_element_of_a_list_is_changed_and_the_whole_list_is_written() {
        let reading = ReadPolicy::default();
        let moved = write(20, &[("otherMails", element("new@b.c", "old@b.c"))]);
        assert!(reading.is_needed(&moved), "it has to be read to be kept");
        let has = with_list(&["x@y.z", "old@b.c"]);
        let body = reconcile(&moved, &has, &reading).expect("clear").body.expect("a write");
        assert_eq!(body.properties, [(property("otherMails"), list(&["x@y.z", "new@b.c"]))]);

        let there = with_list(&["New@b.c"]);
        let same = reconcile(&moved, &there, &reading).expect("clear");
        assert_eq!((same.body, same.unchanged), (None, vec![property("otherMails")]));
        // Our last write has not come through yet: it must be undone.
        let mut back = moved.clone();
        back.known = write(10, &[("otherMails", element("other@b.c", "new@b.c"))]).entries;
        let body = reconcile(&back, &there, &reading).expect("clear").body.expect("a write");
        assert_eq!(body.properties, [(property("otherMails"), list(&["New@b.c"]))]);
    }

    #[test]
    fn what_is_there_already_is_marked_so_that_an_older_one_stays_out() {
        let moved = write(20, &[("otherMails", element("new@b.c", "old@b.c"))]);
        let marked = reconcile(&moved, &with_list(&["new@b.c"]), &guarded()).expect("clear");
        assert_eq!(marked.unchanged, [property("otherMails")]);
        let current = Current { mark: after(&marked).mark, ..with_list(&["new@b.c"]) };
        let older = write(10, &[("otherMails", element("old@b.c", "older@b.c"))]);
        assert_eq!(
            reconcile(&older, &current, &guarded()).expect("clear").superseded,
            [property("otherMails")]
        );
    }

    #[test]
    fn a_list_that_is_not_shown_or_not_clear_or_full_is_not_written() {
        let ask = |value: PropertyValue, current: &Current| {
            reconcile(&write(20, &[("otherMails", value)]), current, &ReadPolicy::default())
                .map(|left| left.body)
        };
        let new = || PropertyValue::from(ListElement::of("new@b.c"));
        assert_eq!(ask(new(), &Current::default()), Err(Withheld::NotShown("otherMails")));
        let full: Vec<String> = (0..250).map(|n| format!("{n}@b.c")).collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        assert_eq!(ask(new(), &with_list(&full)), Err(Withheld::Full("otherMails")));
        let emptied = || PropertyValue::from(ListElement::default());
        assert_eq!(ask(emptied(), &with_list(&["x@y.z"])), Err(Withheld::Unclear("otherMails")));
        assert_eq!(ask(PropertyValue::Clear, &with_list(&["x@y.z"])), Err(Withheld::Unclear("otherMails")));
        assert_eq!(ask(emptied(), &with_list(&[])), Ok(None));
        let sign_in = write(20, &[(Property::SIGN_IN, SignIn::to("new@b.c").into())]);
        let blank = reconcile(&sign_in, &Current::default(), &ReadPolicy::default());
        assert_eq!(blank, Err(Withheld::NotShown("identities")), "no list is not an empty list");
    }
}
