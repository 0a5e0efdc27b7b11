//! Whether the mapping suits the directory.

use shared::{mapping::Row, property::Kind};

use super::{Finding, Rule, Severity, Surroundings};
use crate::config::Parts;

pub(super) const RULES: [Rule; 2] = [mail, sign_in];

fn feeding(parts: &Parts, is_meant: impl Fn(&Row) -> bool) -> Option<&Row> {
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
        "for a B2C tenant choose preset = \"b2c\"; for External ID this is right",
    ))
}

fn sign_in(parts: &Parts, _: Surroundings) -> Option<Finding> {
    let row = feeding(parts, |row| row.property.rules().kind == Kind::SignIn)?;
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
