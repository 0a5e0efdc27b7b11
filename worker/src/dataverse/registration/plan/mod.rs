//! What is to be done, in an order that can stop anywhere: the endpoint, steps that are not yet enabled, their images,
//! then the steps are enabled, and last what is there twice goes. A step that is enabled before its images exist sends
//! messages in which nobody can see the user.

mod bodies;
mod deed;
mod removal;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use self::bodies::{new_endpoint, new_image, new_step, state};
pub(super) use self::deed::{RowRef, RowSet, Slot, Verb};
pub(crate) use self::{
    deed::Deed,
    removal::{Removal, removal},
};
use super::{
    compare::{compare, ours},
    desired::{Desired, Hook, Moment},
    deviation::{Deviation, DeviationKind, Repair},
    found::Found,
    key::SendKey,
};

/// What somebody has decided about a registration.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanOptions {
    /// The key for Dataverse, if one is at hand.
    pub key: Option<SendKey>,
    /// Send the key although one is there.
    pub rotate_key: bool,
    /// Another organization may post to the same queue.
    pub allow_shared_queue: bool,
}

/// Deeds in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub deeds: Vec<Deed>,
}

/// Why nothing is done at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "Dataverse needs a key to send to the queue, and there is none: the worker signs in with an identity, which \
         Dataverse cannot; put the connection string of a policy with the right Send into a file and name it with \
         --key-file"
    )]
    NoKey,
    #[error("{0}: {1}; {2}")]
    Deviation(String, String, String),
    #[error("this environment lets no step be registered for {0} of contact")]
    NoHook(&'static str),
}

/// Differences with which nothing is written, because it could only become worse.
const REFUSED: [DeviationKind; 5] = [
    DeviationKind::WrongPurpose,
    DeviationKind::EndpointAmbiguous,
    DeviationKind::OrganizationRefused,
    DeviationKind::OtherOrganization,
    DeviationKind::ColumnMissing,
];

/// Differences after which the key that is there opens nothing any more.
const MOVED: [DeviationKind; 2] = [DeviationKind::WrongNamespace, DeviationKind::WrongQueue];

impl Plan {
    /// What makes the registration as it is wanted; empty if it is.
    pub(crate) fn of(desired: &Desired, found: &Found, options: &PlanOptions) -> Result<Self, Vec<Refusal>> {
        let deviations = compare(desired, found);
        let refusals = refusals(&deviations, options);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let mut draft = Draft::default();
        let moved = deviations.iter().any(|one| MOVED.contains(&one.kind) && one.repair.is_some());
        draft.gives_key = options.rotate_key || moved;
        for deviation in deviations {
            draft.take(deviation);
        }
        draft.finish(desired, found, options)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deeds.is_empty()
    }
}

fn refusals(deviations: &[Deviation], options: &PlanOptions) -> Vec<Refusal> {
    let refused = |one: &&Deviation| {
        REFUSED.contains(&one.kind)
            && !(one.kind == DeviationKind::OtherOrganization && options.allow_shared_queue)
    };
    let told = |one: &Deviation| Refusal::Deviation(one.place.clone(), one.what.clone(), one.remedy.clone());
    deviations.iter().filter(refused).map(told).collect()
}

/// Columns and the values that they get.
type Columns = Map<String, Value>;

/// Repairs, put together by row.
#[derive(Default)]
struct Draft {
    makes_endpoint: bool,
    endpoint: Columns,
    gives_key: bool,
    new_steps: Vec<Hook>,
    steps: BTreeMap<Uuid, Columns>,
    new_images: Vec<(RowRef, Hook, Moment)>,
    images: BTreeMap<Uuid, Columns>,
    enabled: Vec<Uuid>,
    dropped: Vec<Uuid>,
}

impl Draft {
    fn take(&mut self, deviation: Deviation) {
        let put = |columns: &mut Columns, (column, value): (&str, Value)| {
            columns.insert(column.to_owned(), value);
        };
        match deviation.repair {
            None => {}
            Some(Repair::MakeEndpoint) => self.makes_endpoint = true,
            Some(Repair::SetEndpoint(_, column)) => put(&mut self.endpoint, column),
            Some(Repair::GiveKey(_)) => self.gives_key = true,
            Some(Repair::MakeStep(hook)) => self.new_steps.push(hook),
            Some(Repair::SetStep(id, column)) => put(self.steps.entry(id).or_default(), column),
            Some(Repair::EnableStep(id)) => self.enabled.push(id),
            Some(Repair::MakeImage(step, hook, moment)) => {
                self.new_images.push((RowRef::There(step), hook, moment));
            }
            Some(Repair::SetImage(id, column)) => put(self.images.entry(id).or_default(), column),
            Some(Repair::DropStep(id)) => self.dropped.push(id),
        }
    }

    fn finish(self, desired: &Desired, found: &Found, options: &PlanOptions) -> Result<Plan, Vec<Refusal>> {
        let mut deeds = Vec::new();
        let there = ours(desired, &found.endpoints).ok().flatten();
        let key = (self.makes_endpoint || self.gives_key).then(|| options.key.clone());
        if key == Some(None) {
            return Err(vec![Refusal::NoKey]);
        }
        let key = key.flatten();
        let endpoint = there.map_or(RowRef::New(Slot::Endpoint), |row| RowRef::There(row.id));
        if self.makes_endpoint {
            deeds.push(new_endpoint(desired, found.organization.organization_id, key));
        } else if let Some(row) = there.filter(|_| key.is_some() || !self.endpoint.is_empty()) {
            deeds.push(Deed::update(RowSet::Endpoint, endpoint, row.title(), self.endpoint, key));
        }
        let title = |id: &Uuid| {
            let step = found.steps.iter().find(|step| step.id == *id);
            step.map_or_else(|| format!("step {id}"), super::found::StepRow::title)
        };
        let mut images = self.new_images;
        for hook in &self.new_steps {
            let Some(ids) = found.catalog.0.get(hook) else {
                return Err(vec![Refusal::NoHook(hook.as_str())]);
            };
            deeds.extend(new_step(desired, *hook, *ids, endpoint));
            images
                .extend(hook.images().iter().map(|moment| (RowRef::New(Slot::Step(*hook)), *hook, *moment)));
        }
        for (id, columns) in self.steps {
            deeds.push(Deed::update(RowSet::Step, RowRef::There(id), title(&id), columns, None));
        }
        for (id, columns) in self.images {
            let what = format!("image {id}");
            deeds.push(Deed::update(RowSet::Image, RowRef::There(id), what, columns, None));
        }
        deeds.extend(images.into_iter().map(|(step, hook, moment)| new_image(desired, step, hook, moment)));
        for hook in self.new_steps {
            let what = format!("step {} of contact", hook.as_str());
            deeds.push(Deed::update(RowSet::Step, RowRef::New(Slot::Step(hook)), what, state(true), None));
        }
        for id in self.enabled {
            deeds.push(Deed::update(RowSet::Step, RowRef::There(id), title(&id), state(true), None));
        }
        deeds.extend(self.dropped.iter().map(|id| Deed::delete(RowSet::Step, *id, title(id))));
        Ok(Plan { deeds })
    }
}
