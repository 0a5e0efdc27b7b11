//! The images of a step: what a message shows besides what has changed.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use super::{
    super::{
        desired::{ColumnNames, Desired, Hook, Moment, VERSION, is_secret, listed},
        deviation::{Deviation, DeviationKind, Repair},
        found::{ImageRow, StepRow},
    },
    within,
};
use crate::settings::check::Severity;

/// In the name of an image that Dataverse would not make with the row version.
pub(in super::super) const VERSION_REFUSED: &str = "without versionnumber";

pub(super) fn compare(desired: &Desired, hook: Hook, step: &StepRow) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    let mut chosen: BTreeMap<Uuid, ColumnNames> = BTreeMap::new();
    for moment in hook.images() {
        let image =
            step.images.iter().filter(|image| moment.is_in(image.imagetype)).min_by_key(|image| image.id);
        match image {
            Some(image) => chosen.entry(image.id).or_default().extend(desired.image(*moment)),
            None => deviations.push(missing(hook, *moment, step)),
        }
    }
    for image in &step.images {
        let mut wanted = chosen.remove(&image.id).unwrap_or_default();
        if image.name.as_deref().is_some_and(|name| name.contains(VERSION_REFUSED)) {
            wanted.remove(VERSION);
        }
        let of_image = property(hook, step, image).into_iter().chain(columns(desired, step, image, &wanted));
        deviations.extend(within(image.grasp(), &title(image, step), of_image.collect()));
    }
    deviations
}

fn missing(hook: Hook, moment: Moment, step: &StepRow) -> Deviation {
    let what = match moment {
        Moment::Post => {
            "has no post image: an update carries only what changed, so that nobody can tell which user is meant, nor \
             which of two changes is newer"
        }
        Moment::Pre => {
            "has no pre image: saving without a change costs a write, and no sign-in address is moved where the link \
             comes along"
        }
    };
    let repair = Repair::MakeImage(step.id, hook, moment);
    let mut deviation = Deviation::new(DeviationKind::ImageMissing, step.title(), what);
    // What a new contact has is all in its message, and what was there before is a help and no need.
    if moment == Moment::Pre || hook == Hook::Create {
        deviation.severity = Severity::Warning;
    }
    deviation.repaired(repair, &format!("makes the {}", moment.as_str()))
}

fn title(image: &ImageRow, step: &StepRow) -> String {
    let kind = match image.imagetype {
        Some(0) => Moment::Pre.as_str(),
        Some(1) => Moment::Post.as_str(),
        _ => "image",
    };
    format!("{kind} {} of {}", image.entityalias.as_deref().unwrap_or("without an alias"), step.title())
}

fn property(hook: Hook, step: &StepRow, image: &ImageRow) -> Option<Deviation> {
    let wanted = hook.image_property();
    let own = image.messagepropertyname.as_deref();
    if own == Some(wanted) {
        return None;
    }
    let what = format!(
        "is of the property {}, and on {} it has to be {wanted}: it stays empty",
        own.unwrap_or("none"),
        hook.as_str()
    );
    let repair = Repair::SetImage(image.id, ("messagepropertyname", json!(wanted)));
    let deviation = Deviation::new(DeviationKind::ImageProperty, title(image, step), what);
    Some(deviation.repaired(repair, &format!("sets {wanted}")))
}

/// What is in an image that should not be, and what is not in it that should. All of it is one column, so each
/// deviation has the same repair.
fn columns(desired: &Desired, step: &StepRow, image: &ImageRow, wanted: &ColumnNames) -> Vec<Deviation> {
    use DeviationKind as Kind;

    let own = image.columns();
    // An image that nothing is wanted of still must not hold everything.
    let base = if own.is_empty() && wanted.is_empty() { &desired.columns } else { wanted };
    let right: ColumnNames = own.iter().filter(|column| !is_secret(column)).chain(base).cloned().collect();
    let repair = || Repair::SetImage(image.id, ("attributes", json!(listed(&right))));
    let found = |kind, what: String, remedy: &str| {
        Deviation::new(kind, title(image, step), what).repaired(repair(), remedy)
    };
    if own.is_empty() {
        let what = "holds all columns, the hash of the portal's password among them; and messages above 192 KB lose \
                    their columns";
        return vec![found(Kind::ImageAllColumns, what.into(), "names the columns")];
    }
    let mut deviations = Vec::new();
    let secret: ColumnNames = own.iter().filter(|column| is_secret(column)).cloned().collect();
    if !secret.is_empty() {
        let what = format!("holds {}, which nobody must see in a queue", listed(&secret));
        deviations.push(found(Kind::ImageSecret, what, "takes it out"));
    }
    let lacking: ColumnNames = wanted.difference(&own).cloned().collect();
    let (link, rest): (ColumnNames, ColumnNames) =
        lacking.into_iter().partition(|column| desired.link.contains(column));
    let (version, rest): (ColumnNames, ColumnNames) =
        rest.into_iter().partition(|column| &**column == VERSION);
    if !link.is_empty() {
        let what = format!("does not hold {}, so that nobody can tell which user is meant", listed(&link));
        deviations.push(found(Kind::ImageLacksLink, what, "adds it"));
    }
    if !rest.is_empty() {
        let what = format!(
            "does not hold {}, which is needed when a contact gets its user, and for values of several columns",
            listed(&rest)
        );
        deviations.push(found(Kind::ImageLacksColumn, what, "adds it"));
    }
    if !version.is_empty() {
        let what = "does not hold the row version, so that changes of the same second cannot be told apart";
        deviations.push(found(Kind::ImageWithoutVersion, what.into(), "adds it"));
    }
    deviations
}
