//! What is around the registration: the organization, the columns, and others who post to the same queue.

use super::{
    super::{
        desired::{ColumnNames, Desired, listed},
        deviation::{Deviation, DeviationKind},
        found::Found,
    },
    ours,
};
use crate::{dataverse::OrganizationType, settings::Purpose};

pub(super) fn compare(desired: &Desired, found: &Found) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    deviations.extend(organization(desired, found));
    deviations.extend(columns(desired, found));
    deviations.extend(second_endpoints(desired, found));
    deviations
}

fn organization(desired: &Desired, found: &Found) -> Option<Deviation> {
    let (id, kind) = (found.organization.organization_id, found.organization.organization_type);
    let place = format!("organization {id}");
    let not_meant = match (desired.purpose, kind) {
        (Purpose::Production, OrganizationType::NotProduction) => Some("is not for production"),
        (Purpose::Sandbox, OrganizationType::Production) => Some("is for production"),
        _ => None,
    };
    if let Some(what) = not_meant {
        let what = format!("{what}, and dataverse.environment says otherwise");
        return Some(
            Deviation::new(DeviationKind::WrongPurpose, place, what)
                .by_hand("name the other environment in dataverse.url, or set dataverse.environment"),
        );
    }
    if desired.organizations.contains(&id) {
        return None;
    }
    if !desired.organizations.is_empty() {
        let what = "is not in filter.organizations: the worker dead-letters each of its messages";
        return Some(Deviation::new(DeviationKind::OrganizationRefused, place, what).by_hand(
            "add it to filter.organizations if it is yours, or name the other environment in dataverse.url",
        ));
    }
    if kind != OrganizationType::NotProduction || desired.purpose == Purpose::Sandbox {
        return None;
    }
    let what = "is not for production, and the settings accept every organization: changes of trial contacts are \
                written to users";
    Some(
        Deviation::new(DeviationKind::NotProduction, place, what)
            .by_hand("if that is meant, name it in filter.organizations; otherwise unregister here"),
    )
}

fn columns(desired: &Desired, found: &Found) -> Vec<Deviation> {
    let Some(known) = &found.columns else {
        let what = "could not be read, so that columns which do not exist or are secured are not told";
        let unknown = Deviation::new(DeviationKind::ColumnsUnknown, "columns of contact", what);
        return vec![unknown.by_hand("give the application user prvReadEntity and prvReadAttribute")];
    };
    let of = |name: &str| known.iter().find(|row| row.logical_name.eq_ignore_ascii_case(name));
    let missing: ColumnNames =
        desired.columns.iter().filter(|column| of(column).is_none()).cloned().collect();
    let secured: ColumnNames = desired
        .columns
        .iter()
        .filter(|column| of(column).is_some_and(|row| row.is_secured == Some(true)))
        .cloned()
        .collect();
    let mut deviations = Vec::new();
    if !missing.is_empty() {
        let what = format!("the settings read {}, which contact does not have here", listed(&missing));
        deviations.push(Deviation::new(DeviationKind::ColumnMissing, "columns of contact", what).by_hand(
            "correct the name, which is the logical one in lower case; adx columns come with the portal's solution",
        ));
    }
    if !secured.is_empty() {
        let what = format!(
            "{} is secured: who has no profile for it sees it empty, and an empty value would be written to users",
            listed(&secured)
        );
        deviations.push(
            Deviation::new(DeviationKind::ColumnSecured, "columns of contact", what)
                .by_hand("take it out of the mapping, or see by verify --fire that its value arrives"),
        );
    }
    deviations
}

/// Other endpoints on our queue. They may belong to somebody else's product, so that only a person may remove one.
fn second_endpoints(desired: &Desired, found: &Found) -> Vec<Deviation> {
    let Ok(Some(ours)) = ours(desired, &found.endpoints) else { return Vec::new() };
    let others = found.endpoints.iter().filter(|one| one.id != ours.id && one.posts_to(desired));
    others
        .map(|one| {
            let steps = found.steps.iter().filter(|step| step.endpoint == Some(one.id));
            let (enabled, told): (Vec<_>, Vec<_>) =
                steps.map(|step| (step.is_enabled(), step.title())).unzip();
            let enabled = enabled.into_iter().filter(|enabled| *enabled).count();
            let what = format!(
                "posts to our queue as well, with {} steps, {enabled} of them enabled{}{}",
                told.len(),
                if told.is_empty() { "" } else { ": " },
                told.join(", ")
            );
            Deviation::new(DeviationKind::SecondEndpoint, one.title(), what).by_hand(
                "remove it if it is left over from another set-up; a change is posted once for each step",
            )
        })
        .collect()
}
