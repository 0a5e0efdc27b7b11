//! Whether the mapping suits the directory.

use shared::{
    mapping::MappingRow,
    plan::{LinkMatch, OnForeign, Requirement},
    property::PropertyKind,
};

use super::{
    finding::{Finding, Severity},
    rule::{Rule, Surroundings},
};
use crate::settings::Parts;

pub(super) const RULES: [Rule; 7] = [mail, sign_in, reset, link_match, owner, on_foreign, required];

fn feeding(parts: &Parts, is_meant: impl Fn(&MappingRow) -> bool) -> Option<&MappingRow> {
    parts.planner.as_ref()?.mapping.rows().iter().find(|row| is_meant(row))
}

fn mail(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let row = feeding(parts, |row| row.property.name() == "mail")?;
    Some(Finding::new(
        Severity::Note,
        "mapping",
        format!(
            "{} goes to mail, of which Azure AD B2C takes ten values in the life of an account and never lets go",
            row.source
        ),
        "for a B2C tenant choose preset = \"b2c\"; for External ID this is right (preset = \"external_id\")",
    ))
}

fn sign_in(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let row = feeding(parts, |row| row.property.rules().kind == PropertyKind::SignIn)?;
    Some(Finding::new(
        Severity::Note,
        "mapping",
        format!(
            "{} goes to the sign-in address; of a user who has several, only the contact's address before tells \
             which one to change",
            row.source
        ),
        "register a pre image with that column on the step",
    ))
}

/// What tells that the address for password reset is the contact's is forgotten with the worker.
fn reset(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let follows = parts.planner.as_ref()?.mapping.reset_follows()?;
    Some(Finding::new(
        Severity::Note,
        "mapping.reset_email",
        format!(
            "the address for password reset follows {follows} by a second write, from an address that the contact had before"
        ),
        "register a pre image with the e-mail column on the step, so that also a worker that starts anew knows which that is",
    ))
}

/// From where an address may be moved, if that is another choice than the usual one.
fn link_match(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let signs_in = feeding(parts, |row| row.property.rules().kind == PropertyKind::SignIn).is_some();
    let planner = parts.planner.as_ref()?;
    match planner.link_match {
        LinkMatch::Unchanged => None,
        _ if !signs_in => Some(Finding::new(
            Severity::Note,
            "link.match",
            "has no effect, because no column goes to signInEmail".to_owned(),
            "remove it, or map the sign-in address",
        )),
        LinkMatch::Previous => Some(Finding::new(
            Severity::Note,
            "link.match",
            "a sign-in address is moved only from the one that the contact had before".to_owned(),
            "register a pre image with the link column and the e-mail column on the step",
        )),
        LinkMatch::Anything => Some(Finding::new(
            Severity::Warning,
            "link.match",
            format!(
                "whoever can edit {} can move the sign-in address of any user to a contact of his own, and take the \
                 account over",
                planner.link_column
            ),
            "set it to unchanged or previous; if it has to be so, secure that column by a column security profile",
        )),
    }
}

/// A wrong link column looks like one with links of others.
fn on_foreign(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let planner = parts.planner.as_ref()?;
    (planner.on_foreign == OnForeign::Ignore).then(|| {
        Finding::new(
            Severity::Note,
            "link.on_foreign",
            format!("contacts whose {} is a text without a GUID are completed and never written", planner.link_column),
            "see that this is the link column, because a wrong one would look like that; contactsync check --online looks \
             at what waits",
        )
    })
}

/// What must be in the images for the filter to decide.
fn required(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let columns: Vec<_> = parts.planner.as_ref()?.filter.require.iter().map(Requirement::column).collect();
    (!columns.is_empty()).then(|| {
        Finding::new(
            Severity::Note,
            "filter.require",
            format!("a message that shows {} nowhere becomes a dead letter", columns.join(" or ")),
            "register it in the post image and in the pre image of the step",
        )
    })
}

/// Users are bound to contacts from now on, and not from before.
fn owner(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let attribute = parts.terms.as_ref()?.owner.as_ref()?;
    Some(Finding::new(
        Severity::Note,
        "link.owner_attribute",
        format!("a user whose {attribute} is empty belongs to the first contact that is written to him"),
        "fill the attribute with the contact's id for the users you have",
    ))
}
