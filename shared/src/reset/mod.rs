//! Whether the address for password reset follows a contact's address. It is the authentication method by e-mail of a
//! user, which is no part of the user and is written by a call of its own, after the user was.
//!
//! Who moves it can take the account over, as with the address to sign in with; so it moves from an address of the
//! contact only, to one that the user has already, and never by a message that may not move the other ([`MovesFrom`]).
//! Where there is none, none is put there: nobody asked for another way into the account, and local users of B2C and
//! External ID who sign in with an address reset their password by that one.
//!
//! Source: Microsoft's "emailAuthenticationMethod resource type" (a user has one at most, for self-service password
//! reset). That app-only calls to it work in B2C and External ID tenants is not verified.

use crate::{
    identities::Owner,
    mark::Mark,
    patch::{MovesFrom, PropertyValue, SignIn, UserWrite},
    property::Property,
    reconcile::{Current, ReadPolicy, is_last},
};

/// What a new address of a contact means for the one for password reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResetEdit {
    /// This one takes the place of the one that is there.
    Move(Box<str>),
    /// It is there.
    Present,
    /// The user has none.
    Absent,
    /// The one that is there is not known to have been the contact's: a person may have set it.
    NotOurs,
    /// The user does not have the new address, so there is nothing to follow.
    NotFollowed,
    /// The mark shows that a newer address was written.
    Superseded,
}

/// Decides by the user and by the address for password reset that he has.
#[must_use]
pub fn edit(write: &UserWrite, current: &Current, has: Option<&str>, reading: &ReadPolicy) -> ResetEdit {
    let Some((entry, wanted)) = write.reset() else { return ResetEdit::Present };
    let mark = Mark::read(current.mark.as_deref().unwrap_or_default());
    let Some(follows) = &reading.reset_follows else { return ResetEdit::NotFollowed };
    let superseded = reading.guard.is_some() && mark.is_newer(follows, &entry.stamp.version);
    let Some(has) = has else { return ResetEdit::Absent };
    let mut known = wanted.previous.iter().chain(wanted.earlier.iter());
    let is_ours = wanted.from != MovesFrom::Nowhere && known.any(|address| has.eq_ignore_ascii_case(address));
    if superseded {
        // The newer change may not know this address any more, as this one does.
        let newest = newest(current, follows).filter(|newest| is_ours && !has.eq_ignore_ascii_case(newest));
        return newest.map_or(ResetEdit::Superseded, |newest| ResetEdit::Move(newest.into()));
    }
    if has.eq_ignore_ascii_case(&wanted.address) {
        // What this replica wrote after what it now reads has not come through yet.
        let believed = is_last(write, &entry.property, &entry.value);
        return if believed { ResetEdit::Present } else { ResetEdit::Move(wanted.address.clone()) };
    }
    if wanted.from == MovesFrom::Nowhere || !has_arrived(write, wanted, current, follows) {
        return ResetEdit::NotFollowed;
    }
    if is_ours { ResetEdit::Move(wanted.address.clone()) } else { ResetEdit::NotOurs }
}

/// The one address that the user has there, which the newest change has put there.
fn newest<'c>(current: &'c Current, follows: &Property) -> Option<&'c str> {
    if follows.name() != Property::SIGN_IN {
        return current.shown(follows)?.text();
    }
    let mut emails = emails(current)?;
    let first = emails.next()?;
    emails.all(|email| email.eq_ignore_ascii_case(first)).then_some(first)
}

/// The addresses with which he signs in; `None` if they are not shown.
fn emails(current: &Current) -> Option<impl Iterator<Item = &str>> {
    let owner = Owner { principal_name: None, is_guest: current.is_guest() };
    let signs_in =
        current.person.identities.as_ref()?.iter().filter(move |identity| owner.signs_in_by(identity));
    Some(signs_in.map(|identity| &*identity.issuer_assigned_id))
}

/// Whether the user has the new address where the mapping puts it. Who signs in with no address at all, but with a user
/// name or by another provider, has nothing that could come first.
fn has_arrived(write: &UserWrite, wanted: &SignIn, current: &Current, follows: &Property) -> bool {
    let is_wanted = |text: &str| text.eq_ignore_ascii_case(&wanted.address);
    // A look can lag behind what was written.
    let mut known = write.known.iter().filter(|known| known.property == *follows);
    if known.any(|known| known.value.text().is_some_and(is_wanted)) {
        return true;
    }
    match current.shown(follows) {
        Some(PropertyValue::Text(text)) => is_wanted(text),
        Some(PropertyValue::List(list)) => list.iter().any(|text| is_wanted(text)),
        _ if follows.name() == Property::SIGN_IN => {
            let Some(mut emails) = emails(current).map(Iterator::peekable) else { return false };
            emails.peek().is_none() || emails.any(is_wanted)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
