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
    /// The property that the address for password reset follows, if it does.
    pub reset_follows: Option<Property>,
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
    /// The address with which the user signs in and that another one takes the place of.
    pub gives_way: Option<Box<str>>,
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
    let Left { mut mark, mut body, superseded, unchanged, must_mark, went_back, gives_way } = left;
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
    Ok(Reconciled { body: (!body.is_empty()).then_some(body), superseded, unchanged, went_back, gives_way })
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
    gives_way: Option<Box<str>>,
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
            Edit::Replace(edited) => {
                self.gives_way = list
                    .iter()
                    .zip(&edited)
                    .find_map(|(before, after)| (before != after).then(|| before.issuer_assigned_id.clone()));
                self.body.identities = Some(edited);
            }
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
        PropertyValue::SignIn(last)
            if is_sign_in(&known.property) && last.contact.is_some() && last.contact == wanted.contact =>
        {
            Some(&*last.address)
        }
        _ => None,
    })
}

/// Whether this replica has written no other value since: only then is a value that was read to be believed.
pub(crate) fn is_last(write: &UserWrite, property: &Property, value: &PropertyValue) -> bool {
    write.known.iter().filter(|known| known.property == *property).all(|known| known.value.is_like(value))
}

#[cfg(test)]
mod tests;
