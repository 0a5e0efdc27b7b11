//! An organization in memory: a registration, and a store for the asynchronous service.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    bus::{Options as BusOptions, ServiceBus},
    dataverse::{
        pipeline::{Facts, Options, Pipeline, Store},
        value::{Row, Tables, Value},
        written::{Message, Written},
    },
};

pub(super) const CONTACT: Uuid = Uuid::from_u128(0xc0);
pub(super) const ENDPOINT: Uuid = Uuid::from_u128(0xe0);
pub(super) const USER: Uuid = Uuid::from_u128(0x0f);

/// Ids of the rows for a message: 1 for Create, 2 for Update, 3 for Delete.
pub(super) fn id(of: &str, message: Message) -> Uuid {
    let base = match of {
        "sdkmessage" => 0x100,
        "sdkmessagefilter" => 0x200,
        "sdkmessageprocessingstep" => 0x300,
        _ => 0x400,
    };
    Uuid::from_u128(base + message as u128 + 1)
}

pub(super) fn row<const N: usize>(columns: [(&str, Value); N]) -> Row {
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn lookup(table: &str, id: Uuid) -> Value {
    Value::Lookup { table: table.to_owned(), id, name: None }
}

pub(super) fn endpoint(bus: &str) -> Row {
    row([
        ("name", text("contactsync")),
        ("contract", Value::Choice(6)),
        ("namespaceformat", Value::Choice(2)),
        ("namespaceaddress", text(bus)),
        ("solutionnamespace", text("local")),
        ("path", text("contacts")),
        ("connectionmode", Value::Choice(1)),
        ("authtype", Value::Choice(2)),
        ("saskeyname", text("RootManageSharedAccessKey")),
        ("saskey", text("SAS_KEY_VALUE")),
        ("messageformat", Value::Choice(2)),
        ("userclaim", Value::Choice(2)),
    ])
}

pub(super) fn step(message: Message) -> Row {
    row([
        ("name", text("contactsync")),
        ("stage", Value::Choice(40)),
        ("mode", Value::Choice(1)),
        ("rank", Value::Int(1)),
        ("asyncautodelete", Value::Bool(true)),
        ("statecode", Value::Choice(0)),
        ("eventhandler", lookup("serviceendpoint", ENDPOINT)),
        ("sdkmessageid", lookup("sdkmessage", id("sdkmessage", message))),
        ("sdkmessagefilterid", lookup("sdkmessagefilter", id("sdkmessagefilter", message))),
    ])
}

pub(super) fn image(message: Message, kind: i32, alias: &str) -> Row {
    let property = if message == Message::Create { "Id" } else { "Target" };
    row([
        ("name", text("contactsync")),
        ("entityalias", text(alias)),
        ("imagetype", Value::Choice(kind)),
        ("messagepropertyname", text(property)),
        ("attributes", text("adx_identity_username,emailaddress1,firstname,lastname,statecode")),
        (
            "sdkmessageprocessingstepid",
            lookup("sdkmessageprocessingstep", id("sdkmessageprocessingstep", message)),
        ),
    ])
}

/// Messages and filters, an endpoint, and a step with its image for each message.
pub(super) fn registered(bus: &str) -> Tables {
    let mut tables = Tables::new();
    let mut put = |table: &str, id: Uuid, row: Row| {
        tables.entry(table.to_owned()).or_default().insert(id, row);
    };
    put("serviceendpoint", ENDPOINT, endpoint(bus));
    for message in [Message::Create, Message::Update, Message::Delete] {
        let of = |table: &str| id(table, message);
        put("sdkmessage", of("sdkmessage"), row([("name", text(&format!("{message:?}")))]));
        let filter = [
            ("sdkmessageid", lookup("sdkmessage", of("sdkmessage"))),
            ("primaryobjecttypecode", text("contact")),
            ("iscustomprocessingstepallowed", Value::Bool(true)),
        ];
        put("sdkmessagefilter", of("sdkmessagefilter"), row(filter));
        put("sdkmessageprocessingstep", of("sdkmessageprocessingstep"), step(message));
        let (kind, alias) = if message == Message::Delete { (0, "PreImage") } else { (1, "PostImage") };
        put(
            "sdkmessageprocessingstepimage",
            of("sdkmessageprocessingstepimage"),
            image(message, kind, alias),
        );
    }
    tables
}

pub(super) fn facts() -> Facts {
    Facts {
        organization: Uuid::from_u128(0x0a),
        unique_name: "unq0a".to_owned(),
        business_unit: Uuid::from_u128(0x0b),
        host: "org.crm4.dynamics.com".to_owned(),
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::constant(1_710_408_413, 0)
}

/// An update that set the first name.
pub(super) fn update(first_name: &str) -> Written {
    let contact = |first: &str| {
        row([
            ("contactid", Value::Guid(CONTACT)),
            ("firstname", text(first)),
            ("lastname", text("Lovelace")),
            ("fullname", text(&format!("{first} Lovelace"))),
            ("emailaddress1", Value::Null),
            ("adx_identity_username", text("6a1e2c1e-6c2d-4b0e-9a44-3d0f5c1f7b10")),
            ("statecode", Value::Choice(0)),
            ("modifiedon", Value::Moment(now())),
            ("versionnumber", Value::Long(5)),
        ])
    };
    Written {
        message: Message::Update,
        table: "contact".to_owned(),
        id: CONTACT,
        target: row([("firstname", text(first_name))]),
        before: Some(contact("Ada")),
        after: Some(contact(first_name)),
        user: USER,
        user_agent: "test".to_owned(),
        tag: None,
        at: now(),
        request: Uuid::from_u128(0x11),
        correlation: Uuid::from_u128(0x12),
        depth: 1,
        bypass: false,
    }
}

/// Tables under a lock, as a server keeps them.
#[derive(Debug)]
pub(super) struct Organization {
    tables: Mutex<Tables>,
}

impl Organization {
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Organization {
    fn change(&self, change: &mut dyn FnMut(&mut Tables)) {
        change(&mut self.tables());
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

/// A registered organization beside a local bus, whose pipeline runs for as long as this lives.
pub(super) struct World {
    pub(super) bus: ServiceBus,
    pub(super) organization: Arc<Organization>,
    pub(super) pipeline: Pipeline,
    task: tokio::task::JoinHandle<()>,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::start_with_retry(std::time::Duration::from_millis(1)).await
    }

    /// One whose jobs wait so long before they are tried again.
    pub(super) async fn start_with_retry(retry_unit: std::time::Duration) -> Self {
        let bus = ServiceBus::start(BusOptions::default().queue("contacts")).await.expect("a local bus");
        let address = format!("sb://localhost:{}/", bus.address().port());
        let organization = Arc::new(Organization { tables: Mutex::new(registered(&address)) });
        let pipeline = Pipeline::new(Options { buses: vec![bus.poster()], retry_unit });
        let store: Arc<dyn Store> = Arc::<Organization>::clone(&organization);
        let task = tokio::spawn(pipeline.clone().run(Arc::downgrade(&store)));
        Self { bus, organization, pipeline, task }
    }

    /// Changes a column of a row of the registration, or of a job.
    pub(super) fn set(&self, table: &str, id: Uuid, column: &str, value: Value) {
        let mut tables = self.organization.tables();
        let row = tables.get_mut(table).and_then(|rows| rows.get_mut(&id)).expect("the row is there");
        row.insert(column.to_owned(), value);
    }

    pub(super) fn commit(&self, written: &Written) {
        self.pipeline.committed(&mut self.organization.tables(), &facts(), written);
    }

    /// The rows of system jobs.
    pub(super) fn jobs(&self) -> Vec<(Uuid, Row)> {
        let tables = self.organization.tables();
        tables.get("asyncoperation").into_iter().flatten().map(|(id, row)| (*id, row.clone())).collect()
    }

    /// Waits until the jobs are as they should be, and returns them.
    pub(super) async fn jobs_that(
        &self,
        what: &str,
        hold: impl Fn(&[(Uuid, Row)]) -> bool,
    ) -> Vec<(Uuid, Row)> {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let jobs = self.jobs();
            if hold(&jobs) {
                return jobs;
            }
            assert!(tokio::time::Instant::now() < deadline, "{what}: {jobs:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    pub(super) fn posted(&self) -> usize {
        self.bus.counts("contacts").expect("the queue").active
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// State and status reason of a job.
pub(super) fn state(row: &Row) -> (Option<&Value>, Option<&Value>) {
    (row.get("statecode"), row.get("statuscode"))
}
