//! Rows that come to be.

use serde_json::{Map, Value, json};
use shared::ids::OrganizationId;
use uuid::Uuid;

use super::{
    super::{
        compare::mark,
        desired::{CONTACT, Desired, Hook, Moment, listed},
        key::SendKey,
    },
    deed::{Deed, RowRef, RowSet, Slot, Verb},
};

fn columns(value: Value) -> Map<String, Value> {
    if let Value::Object(columns) = value { columns } else { Map::new() }
}

/// State and status of a step, which go together.
pub(super) fn state(enabled: bool) -> Map<String, Value> {
    columns(if enabled {
        json!({"statecode": 0, "statuscode": 1})
    } else {
        json!({"statecode": 1, "statuscode": 2})
    })
}

pub(super) fn new_endpoint(desired: &Desired, organization: OrganizationId, key: Option<SendKey>) -> Deed {
    let columns = columns(json!({
        "name": desired.name,
        "description": mark(None, organization),
        "contract": desired.contract.number(),
        "namespaceformat": 2,
        "namespaceaddress": desired.address(),
        "solutionnamespace": desired.namespace(),
        "path": desired.destination.entity,
        "connectionmode": 1,
        "authtype": 2,
        "messageformat": 2,
        "messagecharset": 0,
        "userclaim": 1,
    }));
    Deed {
        verb: Verb::Create,
        set: RowSet::Endpoint,
        row: RowRef::New(Slot::Endpoint),
        title: format!("endpoint {}", desired.name),
        columns,
        links: Vec::new(),
        key,
    }
}

/// A step, and at once that it is disabled: whether the state counts when a row is made is not documented.
pub(super) fn new_step(
    desired: &Desired,
    hook: Hook,
    (message, filter): (Uuid, Uuid),
    endpoint: RowRef,
) -> [Deed; 2] {
    let row = RowRef::New(Slot::Step(hook));
    let title = format!("step {} of {CONTACT}", hook.as_str());
    let mut body = columns(json!({
        "name": format!("{}: {} of {CONTACT}", desired.name, hook.as_str()),
        "stage": 40,
        "mode": 1,
        "rank": 1,
        "supporteddeployment": 0,
        "asyncautodelete": true,
        "invocationsource": 0,
        "sdkmessageid@odata.bind": format!("/sdkmessages({message})"),
        "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({filter})"),
    }));
    body.extend(state(false));
    if hook.filters() {
        body.insert("filteringattributes".into(), json!(listed(&desired.columns)));
    }
    let links = vec![("eventhandler_serviceendpoint@odata.bind", RowSet::Endpoint, endpoint)];
    let made = Deed {
        verb: Verb::Create,
        set: RowSet::Step,
        row,
        title: title.clone(),
        columns: body,
        links,
        key: None,
    };
    [made, Deed::update(RowSet::Step, row, title, state(false), None)]
}

pub(super) fn new_image(desired: &Desired, step: RowRef, hook: Hook, moment: Moment) -> Deed {
    let columns = columns(json!({
        "name": desired.name,
        "entityalias": moment.alias(),
        "imagetype": moment as i64,
        "messagepropertyname": hook.image_property(),
        "attributes": listed(&desired.image(moment)),
    }));
    Deed {
        verb: Verb::Create,
        set: RowSet::Image,
        row: RowRef::New(Slot::Image),
        title: format!("{} of step {} of {CONTACT}", moment.as_str(), hook.as_str()),
        columns,
        links: vec![("sdkmessageprocessingstepid@odata.bind", RowSet::Step, step)],
        key: None,
    }
}
