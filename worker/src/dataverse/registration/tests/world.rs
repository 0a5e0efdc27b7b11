//! Dataverse as far as a registration needs it: rows of JSON that deeds are carried out on.

use std::{path::Path, sync::LazyLock};

use serde_json::{Map, Value, json};
use shared::{ids::OrganizationId, mapping::Mapping, plan::Planner};
use uuid::Uuid;

use super::super::{
    Deed, Desired, Found, Plan, PlanOptions, SendKey,
    desired::Hook,
    found::{EndpointRow, HookCatalog, StepRow},
    plan::{RowRef, RowSet, Slot, Verb},
};
use crate::{
    dataverse::{Column, Organization, OrganizationType},
    settings::{self, Purpose},
};

pub(super) const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(0xa));
pub(super) const OTHER: OrganizationId = OrganizationId(Uuid::from_u128(0xb));
const UPDATE: u128 = 0x20;
const CREATE: u128 = 0x10;
const MERGE: u128 = 0x30;

const SETTINGS: &str = r#"
[service_bus]
connection_string = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=worker;SharedAccessKey=key"
queue = "contacts"
[identity]
tenant = "contoso.onmicrosoft.com"
client_id = "app"
client_secret = "secret"
"#;

/// What the settings want, read once because that takes long.
static DESIRED: LazyLock<Desired> = LazyLock::new(|| {
    let settings = settings::parse(Some((Path::new("test"), SETTINGS)), Vec::new()).expect("good settings");
    let planner = Planner { organizations: vec![ORGANIZATION], ..Planner::new(Mapping::preset_default()) };
    Desired::of("contactsync", &settings.bus, Purpose::Any, &[&planner]).expect("something is wanted")
});

pub(super) fn desired() -> Desired {
    DESIRED.clone()
}

pub(super) fn options() -> PlanOptions {
    let key = SendKey::new("dataverse", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").expect("a key");
    PlanOptions { key: Some(key), rotate_key: false, allow_shared_queue: true }
}

/// An environment.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) organization: Organization,
    pub(super) endpoints: Vec<Value>,
    pub(super) steps: Vec<Value>,
    pub(super) columns: Option<Vec<Column>>,
    /// What is broken in place of what is not there.
    nothing: Value,
    next: u128,
}

impl World {
    pub(super) fn empty() -> Self {
        let columns = ["adx_identity_username", "emailaddress1", "firstname", "lastname", "statecode"];
        let column = |name: &str| Column {
            logical_name: name.into(),
            attribute_type: "String".into(),
            is_secured: Some(false),
            is_valid_for_read: Some(true),
        };
        Self {
            organization: Organization {
                organization_id: ORGANIZATION,
                friendly_name: "Contoso".into(),
                unique_name: "contoso".into(),
                url_name: "contoso".into(),
                tenant_id: None,
                organization_type: OrganizationType::Production,
            },
            endpoints: Vec::new(),
            steps: Vec::new(),
            columns: Some(columns.map(column).into()),
            nothing: json!({
                "sdkmessageprocessingstepid_sdkmessageprocessingstepimage": [{ "imagetype": 1 }]
            }),
            next: 0x1000,
        }
    }

    /// One in which `register` has done its work.
    pub(super) fn registered() -> Self {
        let mut world = Self::empty();
        world.register();
        world
    }

    pub(super) fn register(&mut self) -> usize {
        let plan = Plan::of(&desired(), &self.found(), &options()).expect("a plan");
        self.apply(&plan, usize::MAX);
        plan.deeds.len()
    }

    pub(super) fn found(&self) -> Found {
        let endpoints = self.endpoints.iter().cloned().map(|row| serde_json::from_value(row).expect("a row"));
        let steps = self.steps.iter().cloned().map(|row| serde_json::from_value(row).expect("a row"));
        let id = Uuid::from_u128;
        let catalog = [(Hook::Create, CREATE), (Hook::Update, UPDATE), (Hook::Merge, MERGE)];
        Found {
            organization: self.organization.clone(),
            endpoints: endpoints.collect::<Vec<EndpointRow>>(),
            steps: steps.collect::<Vec<StepRow>>(),
            catalog: HookCatalog(
                catalog.into_iter().map(|(hook, at)| (hook, (id(at), id(at + 1)))).collect(),
            ),
            columns: self.columns.clone(),
        }
    }

    pub(super) fn id(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    /// Carries out the first deeds of a plan, as Dataverse would.
    pub(super) fn apply(&mut self, plan: &Plan, most: usize) {
        let mut made: Vec<(Slot, Uuid)> = Vec::new();
        for deed in plan.deeds.iter().take(most) {
            let resolve = |row: RowRef, made: &[(Slot, Uuid)]| match row {
                RowRef::There(id) => id,
                RowRef::New(slot) => made.iter().find(|(one, _)| *one == slot).expect("made before").1,
            };
            match deed.verb {
                Verb::Create => {
                    let links: Vec<_> =
                        deed.links.iter().map(|(name, _, row)| (*name, resolve(*row, &made))).collect();
                    let id = self.create(deed, &links);
                    if let RowRef::New(slot) = deed.row {
                        made.push((slot, id));
                    }
                }
                Verb::Update => {
                    let id = resolve(deed.row, &made);
                    let row = self.row(deed.set, id);
                    put(row, &deed.columns);
                    if deed.key.is_some() {
                        row["issaskeyset"] = json!(true);
                        row["authtype"] = json!(2);
                    }
                }
                Verb::Delete => self.delete(deed.set, resolve(deed.row, &made)),
            }
        }
    }

    fn create(&mut self, deed: &Deed, links: &[(&str, Uuid)]) -> Uuid {
        let id = self.id();
        let key = match deed.set {
            RowSet::Endpoint => "serviceendpointid",
            RowSet::Step => "sdkmessageprocessingstepid",
            RowSet::Image => "sdkmessageprocessingstepimageid",
        };
        let mut row = json!({ key: id, "ismanaged": false, "iscustomizable": { "Value": true } });
        put(&mut row, &deed.columns);
        let to = |name: &str| links.iter().find(|(one, _)| *one == name).expect("linked").1;
        match deed.set {
            RowSet::Endpoint => {
                row["issaskeyset"] = json!(deed.key.is_some());
                self.endpoints.push(row);
            }
            RowSet::Step => {
                row["_eventhandler_value"] = json!(to("eventhandler_serviceendpoint@odata.bind"));
                row["sdkmessageprocessingstepid_sdkmessageprocessingstepimage"] = json!([]);
                // The state of a new row does not count.
                row["statecode"] = json!(0);
                self.steps.push(row);
            }
            RowSet::Image => {
                let step = to("sdkmessageprocessingstepid@odata.bind");
                images(self.row(RowSet::Step, step)).push(row);
            }
        }
        id
    }

    pub(super) fn row(&mut self, set: RowSet, id: Uuid) -> &mut Value {
        let is = |key: &str, row: &Value| row[key] == json!(id);
        let row = match set {
            RowSet::Endpoint => self.endpoints.iter_mut().find(|row| is("serviceendpointid", row)),
            RowSet::Step => self.steps.iter_mut().find(|row| is("sdkmessageprocessingstepid", row)),
            RowSet::Image => {
                let all = self.steps.iter_mut().flat_map(|step| images(step).iter_mut());
                all.into_iter().find(|row| is("sdkmessageprocessingstepimageid", row))
            }
        };
        row.expect("the row is there")
    }

    fn delete(&mut self, set: RowSet, id: Uuid) {
        match set {
            RowSet::Endpoint => {
                assert!(
                    self.steps.iter().all(|step| step["_eventhandler_value"] != json!(id)),
                    "it has steps"
                );
                self.endpoints.retain(|row| row["serviceendpointid"] != json!(id));
            }
            RowSet::Step => self.steps.retain(|row| row["sdkmessageprocessingstepid"] != json!(id)),
            RowSet::Image => {
                for step in &mut self.steps {
                    images(step).retain(|row| row["sdkmessageprocessingstepimageid"] != json!(id));
                }
            }
        }
    }

    /// The step for a message.
    pub(super) fn step(&mut self, message: &str) -> &mut Value {
        let mut steps = self.steps.iter_mut();
        steps.find(|step| step["sdkmessageid"]["name"] == message).unwrap_or(&mut self.nothing)
    }

    /// The first endpoint.
    pub(super) fn endpoint(&mut self) -> &mut Value {
        self.endpoints.first_mut().unwrap_or(&mut self.nothing)
    }

    /// The post image of that step.
    pub(super) fn post_image(&mut self, message: &str) -> &mut Value {
        let image = images(self.step(message)).iter().position(|image| image["imagetype"] == 1);
        match image {
            Some(index) => &mut images(self.step(message))[index],
            None => &mut self.nothing,
        }
    }

    /// A second step like the one for a message.
    pub(super) fn copy_step(&mut self, message: &str) -> &mut Value {
        let mut copy = self.step(message).clone();
        if copy == self.nothing {
            return &mut self.nothing;
        }
        copy["sdkmessageprocessingstepid"] = json!(self.id());
        for image in images(&mut copy) {
            image["sdkmessageprocessingstepimageid"] = json!(self.id());
        }
        self.steps.push(copy);
        self.steps.last_mut().expect("just pushed")
    }

    /// A second endpoint like ours.
    pub(super) fn copy_endpoint(&mut self, name: &str) -> &mut Value {
        let mut copy = self.endpoint().clone();
        if copy == self.nothing {
            return &mut self.nothing;
        }
        copy["serviceendpointid"] = json!(self.id());
        copy["name"] = json!(name);
        self.endpoints.push(copy);
        self.endpoints.last_mut().expect("just pushed")
    }
}

pub(super) fn images(step: &mut Value) -> &mut Vec<Value> {
    step["sdkmessageprocessingstepid_sdkmessageprocessingstepimage"].as_array_mut().expect("a list")
}

/// Sets columns, and shows lookups as an expansion does.
fn put(row: &mut Value, columns: &Map<String, Value>) {
    for (column, value) in columns {
        match column.as_str() {
            "sdkmessageid@odata.bind" => {
                let names = [(CREATE, "Create"), (UPDATE, "Update"), (MERGE, "Merge")];
                let is = |id: &u128| value == &json!(format!("/sdkmessages({})", Uuid::from_u128(*id)));
                let name = names.into_iter().find(|(id, _)| is(id)).expect("a message").1;
                row["sdkmessageid"] = json!({ "name": name });
            }
            "sdkmessagefilterid@odata.bind" => {
                row["sdkmessagefilterid"] = json!({ "primaryobjecttypecode": "contact" });
            }
            column => row[column] = value.clone(),
        }
    }
}
