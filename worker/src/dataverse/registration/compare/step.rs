//! One step: when it fires, and what for.

use serde_json::json;

use super::{
    super::{
        desired::{CONTACT, ColumnNames, Desired, Hook, listed},
        deviation::{Column, Deviation, DeviationKind, Repair},
        found::{Found, Grasp, StepRow, names},
    },
    image, within,
};

pub(super) fn missing(desired: &Desired, hook: Hook) -> Deviation {
    let what = match hook {
        Hook::Create => "no step reports contacts that are made with their user",
        Hook::Update | Hook::Merge => "no step reports changes of contacts: no change arrives",
    };
    let place = format!("step {} of {CONTACT}, endpoint {}", hook.as_str(), desired.name);
    Deviation::new(DeviationKind::StepMissing, place, what).repaired(Repair::MakeStep(hook), "makes it")
}

/// The same message for the same table a second time.
pub(super) fn twice(step: &StepRow) -> Deviation {
    let deviation = Deviation::new(
        DeviationKind::StepTwice,
        step.title(),
        "is there besides another one for the same message: each change is posted twice",
    );
    let repaired = deviation.repaired(Repair::DropStep(step.id), "removes it");
    let mut left = within(step.grasp(), &step.title(), vec![repaired]);
    left.swap_remove(0)
}

/// A step of ours that the worker has no use for.
pub(super) fn foreign(step: &StepRow) -> Deviation {
    Deviation::new(
        DeviationKind::StepForeign,
        step.title(),
        "posts to our endpoint what the worker has no use for: it completes or dead-letters each of these messages",
    )
    .by_hand("remove the step, or register it on an endpoint of its own")
}

pub(super) fn compare(desired: &Desired, hook: Hook, step: &StepRow, found: &Found) -> Vec<Deviation> {
    let title = step.title();
    let mut deviations = columns(hook, step, found, &title);
    if hook.filters() {
        deviations.extend(filter(desired, step, &title));
    }
    let mut deviations = within(step.grasp(), &title, deviations);
    let images = image::compare(desired, hook, step);
    // An image is a part of its step.
    let images = if step.grasp() == Grasp::Free { images } else { within(Grasp::Fixed, &title, images) };
    deviations.extend(images);
    deviations
}

/// One rule for each column that has a right value.
fn columns(hook: Hook, step: &StepRow, found: &Found, title: &str) -> Vec<Deviation> {
    use DeviationKind as Kind;

    let mut deviations = Vec::new();
    let mut rule = |is_right: bool, kind, what: &str, repair, remedy: &str| {
        if !is_right {
            deviations.push(Deviation::new(kind, title, what).repaired(repair, remedy));
        }
    };
    let set = |column: Column| Repair::SetStep(step.id, column);
    rule(
        step.is_enabled(),
        Kind::StepDisabled,
        "is disabled, as after an import: no change arrives",
        Repair::EnableStep(step.id),
        "enables it",
    );
    rule(
        step.mode == Some(1),
        Kind::StepSynchronous,
        "is synchronous: saving waits for Service Bus, and what is posted is not taken back when the save is",
        set(("mode", json!(1))),
        "makes it asynchronous",
    );
    rule(
        step.stage == Some(40),
        Kind::StepStage,
        "runs before the change is saved, which a queue never hears of",
        set(("stage", json!(40))),
        "sets post-operation (40)",
    );
    rule(
        matches!(step.supporteddeployment, Some(0 | 2)),
        Kind::StepDeployment,
        "is for offline clients only, so that it never runs on the server",
        set(("supporteddeployment", json!(0))),
        "sets the server",
    );
    rule(
        step.asyncautodelete == Some(true),
        Kind::StepKeepsJobs,
        "keeps the system job of each message for good",
        set(("asyncautodelete", json!(true))),
        "lets jobs go that succeeded",
    );
    if step.table().is_none() {
        let deviation = Deviation::new(
            Kind::StepEveryTable,
            title,
            "has no table, so that changes of every table are posted, whatever they hold",
        );
        let filter = found.catalog.0.get(&hook).map(|(_, filter)| format!("/sdkmessagefilters({filter})"));
        deviations.push(match filter {
            Some(filter) => deviation
                .repaired(set(("sdkmessagefilterid@odata.bind", json!(filter))), "narrows it to contact"),
            None => deviation.by_hand("set its primary entity to contact"),
        });
    }
    deviations
}

/// Whether the step fires for all that is to be written.
fn filter(desired: &Desired, step: &StepRow, title: &str) -> Vec<Deviation> {
    let own = names(step.filteringattributes.as_deref());
    let all: ColumnNames = own.union(&desired.columns).cloned().collect();
    let repair =
        |columns: &ColumnNames| Repair::SetStep(step.id, ("filteringattributes", json!(listed(columns))));
    if own.is_empty() {
        let what = "has no filtering attributes: every change of every contact is posted, each sign-in too";
        let empty = Deviation::new(DeviationKind::FilterEmpty, title, what);
        return vec![empty.repaired(repair(&desired.columns), "sets them")];
    }
    let lacking: ColumnNames = desired.columns.difference(&own).cloned().collect();
    let (link, others): (ColumnNames, ColumnNames) =
        lacking.into_iter().partition(|column| desired.link.contains(column));
    let mut deviations = Vec::new();
    if !link.is_empty() {
        let what = format!(
            "does not fire for {}: a contact that gets its user is not told, and nothing is written to that user",
            listed(&link)
        );
        deviations.push(
            Deviation::new(DeviationKind::FilterLacksLink, title, what)
                .repaired(repair(&all), "adds it to the filtering attributes"),
        );
    }
    if !others.is_empty() {
        let what = format!("does not fire for {}: a change of that alone never arrives", listed(&others));
        deviations.push(
            Deviation::new(DeviationKind::FilterLacksColumn, title, what)
                .repaired(repair(&all), "adds it to the filtering attributes"),
        );
    }
    deviations
}
