//! Whether a write may touch this user at all, and why an address is not moved: what a contact's editor could
//! otherwise do to users who are none of his business.
//!
//! Source: Microsoft's "user resource type" (`userType`, `identities`) and "Update user", which protects the sensitive
//! properties of administrators only.

use crate::{
    identities::{ObjectIdentity, is_local},
    ids::ContactId,
    patch::PropertyValue,
    property::Property,
    reason::DeadLetterReason,
};

/// What a user must be to be written. Everything empty: nobody is turned away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The attribute that binds a user to one contact: it holds the contact's id.
    pub owner: Option<Property>,
    /// Whether a user who belongs to another contact becomes this one's, because a person says so.
    pub takes_over: bool,
    /// The `userType` that a user must have.
    pub user_type: Option<Box<str>>,
    /// The issuer of which a user must have a local identity; an administrator of the tenant has none.
    pub local_issuer: Option<Box<str>>,
}

/// What a look at a user shows of who he is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The identities, if they were asked for and shown.
    pub identities: Option<Vec<ObjectIdentity>>,
    /// The `userType`, if it was asked for.
    pub user_type: Option<Box<str>>,
    /// The contact that the user belongs to, if that was asked for.
    pub owner: Option<Box<str>>,
}

/// Why a write is not made although Graph would take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// Nothing tells which address is meant.
    #[error("the user signs in with several e-mail addresses, and nothing tells which one the contact's is")]
    Ambiguous,
    /// The address would be moved by the same message that makes the user the contact's.
    #[error(
        "the contact gets this user by this message, or no pre image shows that it had him before, and the message \
             would also move the address with which he signs in"
    )]
    LinkAndAddress,
    /// A list does not show which of its elements is the contact's.
    #[error("{0} has elements of others, and nothing tells whether one is the contact's")]
    Unclear(&'static str),
    /// A list is full.
    #[error("{0} holds as many elements as graph takes")]
    Full(&'static str),
    /// A list that was asked for is not in the answer, or holds what is no text.
    #[error("graph does not show {0} in a form that can be written back")]
    NotShown(&'static str),
    /// The user has another address than link.match asks for.
    #[error(
        "the user signs in with another address than the contact had before, and link.match asks for that one"
    )]
    NotPrevious,
    /// The owner's attribute holds something else.
    #[error("the user belongs to another contact, by the attribute that link.owner_attribute names")]
    OtherContact,
    /// Changes of several contacts are merged, which must be decided one by one.
    #[error("changes of several contacts are merged for a user who belongs to one of them at most")]
    SeveralContacts,
    /// The user is not of the kind that is asked for.
    #[error("the user is not of the kind that filter.user_type asks for")]
    UserType,
    /// The user has no local identity of the issuer that is asked for.
    #[error("the user has no local account of the issuer that filter.local_issuer asks for")]
    NotLocal,
}

impl Withheld {
    /// The reason in the dead letter.
    #[must_use]
    pub const fn reason(self) -> DeadLetterReason {
        match self {
            Self::Ambiguous | Self::NotPrevious => DeadLetterReason::SignInAmbiguous,
            Self::LinkAndAddress => DeadLetterReason::LinkAndAddressTogether,
            Self::Unclear(_) => DeadLetterReason::ColumnMissing,
            Self::Full(_) => DeadLetterReason::ValueInvalid,
            Self::NotShown(_) => DeadLetterReason::GraphRefused,
            Self::OtherContact | Self::SeveralContacts => DeadLetterReason::UserOfAnotherContact,
            Self::UserType | Self::NotLocal => DeadLetterReason::UserNotAllowed,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unclear(_) => {
                "register a pre image with the column, which tells what stood there before, and correct \
                 this user by hand"
            }
            Self::Full(_) => "remove elements of the user that nobody needs, then replay the message",
            Self::NotShown(_) => "look at the user in Graph, and report a fault in contactsync",
            Self::Ambiguous => "register a pre image with the e-mail column, and correct this user by hand",
            Self::LinkAndAddress => {
                "the rest was written; if contact and user are the same person, contactsync apply --overrule moves the \
                 address; if the sender repeats the link in every message, register a pre image with that column"
            }
            Self::NotPrevious => {
                "the rest was written; if contact and user are the same person, contactsync apply --overrule moves the \
                 address; register a pre image with the e-mail column if there is none"
            }
            Self::OtherContact | Self::SeveralContacts => {
                "find out which contact is the person's and correct the link of the other; contactsync apply --overrule \
                 makes the user this contact's"
            }
            Self::UserType | Self::NotLocal => {
                "correct the link of the contact, or the filter if such users are meant to be written"
            }
        }
    }
}

impl Terms {
    /// Whether a user has to be looked at to know.
    #[must_use]
    pub fn need_a_look(&self) -> bool {
        *self != Self::default()
    }

    /// Whether this user may be written at all, whichever contact it belongs to.
    #[must_use]
    pub fn let_in(&self, person: &Person) -> bool {
        self.admit(&[], person).is_ok()
    }

    /// Whether this user may be written for these contacts, and what the write has to carry so that he belongs to the
    /// contact from now on.
    pub(crate) fn admit(
        &self,
        contacts: &[ContactId],
        person: &Person,
    ) -> Result<Option<(Property, PropertyValue)>, Withheld> {
        if let Some(wanted) = &self.user_type
            && !person.user_type.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        {
            return Err(Withheld::UserType);
        }
        if let Some(issuer) = &self.local_issuer
            && !person
                .identities
                .iter()
                .flatten()
                .any(|identity| is_local(identity) && identity.issuer.eq_ignore_ascii_case(issuer))
        {
            return Err(Withheld::NotLocal);
        }
        match &self.owner {
            Some(attribute) => {
                let owner = person.owner.as_deref().filter(|owner| {
                    !self.takes_over || contacts.iter().all(|contact| is(owner.trim(), *contact))
                });
                claim(attribute, contacts, owner)
            }
            None => Ok(None),
        }
    }
}

/// Holds the contacts of a write against the one that the user belongs to. A user who belongs to nobody yet becomes
/// the contact's with the first write.
fn claim(
    attribute: &Property,
    contacts: &[ContactId],
    owner: Option<&str>,
) -> Result<Option<(Property, PropertyValue)>, Withheld> {
    let owner = owner.map(str::trim).filter(|text| !text.is_empty());
    match (contacts, owner) {
        // A repair writes again what was admitted before.
        ([], _) => Ok(None),
        ([contact], None) => Ok(Some((attribute.clone(), PropertyValue::Text(contact.to_string().into())))),
        (contacts, Some(owner)) if contacts.iter().all(|contact| is(owner, *contact)) => Ok(None),
        ([_], Some(_)) => Err(Withheld::OtherContact),
        (_, _) => Err(Withheld::SeveralContacts),
    }
}

fn is(owner: &str, contact: ContactId) -> bool {
    uuid::Uuid::try_parse(owner).is_ok_and(|id| id == contact.0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const A: ContactId = ContactId(Uuid::from_u128(0xa));
    const B: ContactId = ContactId(Uuid::from_u128(0xb));

    fn admit(terms: &Terms, contacts: &[ContactId], person: &Person) -> Result<Option<String>, Withheld> {
        let claimed = terms.admit(contacts, person)?;
        Ok(claimed.map(|(property, value)| format!("{property}={value:?}")))
    }

    #[test]
    fn a_user_belongs_to_the_first_contact_and_to_no_other() {
        let terms = Terms { owner: Property::named("extensionAttribute14"), ..Terms::default() };
        let of = |owner: Option<&str>| Person { owner: owner.map(Into::into), ..Person::default() };
        let id = A.to_string();
        let claimed = format!("extensionAttribute14=Text({id:?})");
        for (contacts, owner, expected) in [
            (&[A][..], None, Ok(Some(claimed.clone()))),
            (&[A], Some("  "), Ok(Some(claimed))),
            (&[A], Some(&*id), Ok(None)),
            (&[A], Some(&*format!(" {{{}}} ", id.to_uppercase())), Ok(None)),
            (&[B], Some(&*id), Err(Withheld::OtherContact)),
            // What is no id of a contact is somebody's all the same.
            (&[A], Some("ada"), Err(Withheld::OtherContact)),
            // Each is decided by itself.
            (&[A, B], None, Err(Withheld::SeveralContacts)),
            (&[A, B], Some(&*id), Err(Withheld::SeveralContacts)),
            (&[], None, Ok(None)),
        ] {
            assert_eq!(admit(&terms, contacts, &of(owner)), expected, "{contacts:?} {owner:?}");
        }
        let overruled = Terms { takes_over: true, ..terms };
        assert_eq!(admit(&overruled, &[A], &of(Some(&id))), Ok(None));
        let taken = Ok(Some(format!("extensionAttribute14=Text({:?})", B.to_string())));
        assert_eq!(admit(&overruled, &[B], &of(Some(&id))), taken);
    }

    #[test]
    fn a_user_must_be_of_the_kind_and_of_the_issuer_that_are_asked_for() {
        let identity =
            |sign_in_type: &str, issuer: &str| ObjectIdentity::new(sign_in_type, issuer, "ada@example.com");
        let of = |user_type: Option<&str>, identities: &[ObjectIdentity]| Person {
            user_type: user_type.map(Into::into),
            identities: Some(identities.to_vec()),
            owner: None,
        };
        let kind = Terms { user_type: Some("Member".into()), ..Terms::default() };
        for (found, expected) in [
            (Some("member"), Ok(None)),
            (Some("Guest"), Err(Withheld::UserType)),
            (None, Err(Withheld::UserType)),
        ] {
            assert_eq!(admit(&kind, &[A], &of(found, &[])), expected, "{found:?}");
        }
        let local = Terms { local_issuer: Some("contoso.onmicrosoft.com".into()), ..Terms::default() };
        for (sign_in_type, issuer, expected) in [
            ("emailAddress", "Contoso.onmicrosoft.com", Ok(None)),
            ("userName", "contoso.onmicrosoft.com", Ok(None)),
            // So look those who administer the tenant, and those who sign in by somebody else.
            ("userPrincipalName", "contoso.onmicrosoft.com", Err(Withheld::NotLocal)),
            ("federated", "contoso.onmicrosoft.com", Err(Withheld::NotLocal)),
            ("emailAddress", "fabrikam.onmicrosoft.com", Err(Withheld::NotLocal)),
        ] {
            let person = of(None, &[identity(sign_in_type, issuer)]);
            assert_eq!(admit(&local, &[A], &person), expected, "{sign_in_type} {issuer}");
        }
        assert_eq!(admit(&local, &[A], &of(None, &[])), Err(Withheld::NotLocal));
        assert!(!Terms::default().need_a_look() && local.need_a_look() && kind.need_a_look());
    }
}
