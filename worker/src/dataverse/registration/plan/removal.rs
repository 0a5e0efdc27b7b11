//! The way back: what is ours goes, from the leaves to the root, so that it can stop anywhere.

use super::{
    super::{
        desired::{CONTACT, Desired, Hook},
        found::{EndpointRow, Found, Grasp, StepRow},
    },
    Plan, Refusal,
    deed::{Deed, RowSet},
};

/// What `unregister` does, and what it leaves because it is somebody else's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Removal {
    pub plan: Plan,
    /// What stays, and why.
    pub left: Vec<String>,
}

/// Only the endpoint of our name goes, and of its steps those of contacts. An endpoint on which others have hung
/// something stays for them.
pub(crate) fn removal(desired: &Desired, found: &Found) -> Result<Removal, Refusal> {
    let mut named = found.endpoints.iter().filter(|one| one.is_named(&desired.name));
    let Some(endpoint) = named.next() else { return Ok(Removal::default()) };
    let more: Vec<_> = named.map(EndpointRow::title).collect();
    if !more.is_empty() {
        let what = format!("and {} have the same name", more.join(", "));
        let remedy = "remove by hand those that are not used".to_owned();
        return Err(Refusal::Deviation(endpoint.title(), what, remedy));
    }
    let mut removal = Removal::default();
    for step in found.steps.iter().filter(|step| step.endpoint == Some(endpoint.id)) {
        if let Some(why) = kept(step) {
            removal.left.push(format!("{}: {why}", step.title()));
            continue;
        }
        let images = step.images.iter().map(|image| {
            Deed::delete(RowSet::Image, image.id, format!("image {} of {}", image.id, step.title()))
        });
        removal.plan.deeds.extend(images);
        removal.plan.deeds.push(Deed::delete(RowSet::Step, step.id, step.title()));
    }
    if endpoint.grasp() != Grasp::Free {
        removal.left.push(format!("{}: belongs to a solution; remove that", endpoint.title()));
    } else if removal.left.is_empty() {
        removal.plan.deeds.push(Deed::delete(RowSet::Endpoint, endpoint.id, endpoint.title()));
    } else {
        removal.left.push(format!("{}: carries what stays", endpoint.title()));
    }
    Ok(removal)
}

/// Why a step of our endpoint stays.
fn kept(step: &StepRow) -> Option<&'static str> {
    if step.grasp() != Grasp::Free {
        return Some("belongs to a solution; remove that");
    }
    let ours = Hook::named(step.message()).is_some() && matches!(step.table(), None | Some(CONTACT));
    (!ours).then_some("is not ours")
}
