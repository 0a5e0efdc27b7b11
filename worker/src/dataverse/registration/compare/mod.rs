//! The rules: what is wanted against what is there.

mod endpoint;
mod image;
mod step;
mod surroundings;

use super::{
    desired::{CONTACT, Desired, Hook},
    deviation::{Deviation, DeviationKind, Repair},
    found::{EndpointRow, Found, Grasp, StepRow},
};

pub(super) use self::{
    endpoint::{mark, ours},
    image::VERSION_REFUSED,
};

/// Everything in which the registration is not as wanted, the gravest first.
pub(crate) fn compare(desired: &Desired, found: &Found) -> Vec<Deviation> {
    let mut deviations = surroundings::compare(desired, found);
    match ours(desired, &found.endpoints) {
        Err(several) => deviations.push(endpoint::ambiguous(desired, &several)),
        Ok(None) => {
            deviations.push(endpoint::missing(desired));
            deviations.extend(desired.required().map(|hook| step::missing(desired, hook)));
        }
        Ok(Some(endpoint)) => {
            deviations.extend(endpoint::compare(desired, endpoint, found));
            deviations.extend(steps(desired, endpoint, found));
        }
    }
    deviations.sort_by_key(|deviation| deviation.severity);
    deviations
}

impl Desired {
    /// The messages that need a step.
    fn required(&self) -> impl Iterator<Item = Hook> {
        let required = |(_, need): &&(Hook, super::desired::Need)| *need == super::desired::Need::Required;
        self.steps.iter().filter(required).map(|(hook, _)| *hook)
    }
}

/// The steps of our endpoint: one for each message, and what else hangs on it.
fn steps(desired: &Desired, endpoint: &EndpointRow, found: &Found) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    let own: Vec<_> = found.steps.iter().filter(|step| step.endpoint == Some(endpoint.id)).collect();
    for (hook, _) in &desired.steps {
        let mut candidates = candidates(*hook, &own).into_iter();
        match candidates.next() {
            Some(kept) => {
                deviations.extend(step::compare(desired, *hook, kept, found));
                deviations.extend(candidates.map(step::twice));
            }
            None if desired.required().any(|one| one == *hook) => {
                deviations.push(step::missing(desired, *hook));
            }
            None => {}
        }
    }
    let wanted = |step: &&&StepRow| {
        let hook =
            Hook::named(step.message()).filter(|hook| desired.steps.iter().any(|(one, _)| one == hook));
        hook.is_some_and(|_| matches!(step.table(), None | Some(CONTACT)))
    };
    deviations.extend(own.iter().filter(|step| !wanted(step)).map(|step| step::foreign(step)));
    deviations
}

/// The steps that could be the one for a message, the best first: one for contacts before one for every table, then one
/// that works before one that does not, then by id, so that it is the same one each time.
fn candidates<'s>(hook: Hook, own: &[&'s StepRow]) -> Vec<&'s StepRow> {
    let fits =
        |step: &&&StepRow| step.message() == hook.as_str() && matches!(step.table(), None | Some(CONTACT));
    let mut fitting: Vec<_> = own.iter().filter(fits).copied().collect();
    fitting.sort_by_key(|step| {
        (step.table().is_none(), step.grasp() != Grasp::Free, !step.is_enabled(), step.id)
    });
    fitting
}

/// Takes repairs away that a row does not allow, and says so once.
fn within(grasp: Grasp, title: &str, mut deviations: Vec<Deviation>) -> Vec<Deviation> {
    let allowed = |repair: &Repair| match grasp {
        Grasp::Free => true,
        Grasp::Managed => matches!(repair, Repair::GiveKey(_) | Repair::EnableStep(_)),
        Grasp::Fixed => false,
    };
    let mut barred = 0;
    for deviation in &mut deviations {
        if deviation.repair.as_ref().is_some_and(|repair| !allowed(repair)) {
            deviation.repair = None;
            "change it in the solution that it comes from, and import that again"
                .clone_into(&mut deviation.remedy);
            barred += 1;
        }
    }
    if barred > 0 {
        let why =
            if grasp == Grasp::Managed { "belongs to a managed solution" } else { "is not customizable" };
        let what = format!("{why}, so that register leaves it as it is; {barred} deviations stay");
        let remedy = "change it in its solution; or remove that solution here and register anew";
        deviations.push(Deviation::new(DeviationKind::Managed, title, what).by_hand(remedy));
    }
    deviations
}
