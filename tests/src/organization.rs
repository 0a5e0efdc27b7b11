//! A Dataverse of this machine that posts to the queue of a world, and somebody who changes contacts in it.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use emulator::{
    ca::Ca,
    dataverse::{
        self, Dataverse,
        pipeline::{self, format::Format},
    },
    graph,
};
use reqwest::{Client, Method, Url, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    client::http_client,
    world::{QUEUE, World},
};

/// Columns of the registered images, as the guide has them.
pub const IMAGE_COLUMNS: &str =
    "adx_identity_username,emailaddress1,firstname,lastname,statecode,versionnumber";

/// The id of the endpoint that [`Organization::register`] makes.
pub const ENDPOINT: Uuid = Uuid::from_u128(0xe0);

/// The id of its step for updates.
pub const UPDATE_STEP: Uuid = Uuid::from_u128(0x302);

/// A running organization.
pub struct Organization {
    /// The organization itself, to be steered and watched.
    pub dataverse: Dataverse,
    client: Client,
    token: String,
}

impl Organization {
    /// Starts an organization beside a world. Nothing is registered.
    pub async fn start(world: &World) -> anyhow::Result<Self> {
        Self::start_with_retry(world, Duration::from_millis(2)).await
    }

    /// One whose jobs wait so long before they are tried again, and twice as long the next time.
    pub async fn start_with_retry(world: &World, retry_unit: Duration) -> anyhow::Result<Self> {
        let pipeline = pipeline::Options { buses: vec![world.bus.poster()], retry_unit };
        let options = dataverse::Options { pipeline, ..dataverse::Options::default() };
        let dataverse = Dataverse::start(options, &Ca::new()?, &world.graph).await?;
        let client = http_client()?;
        let token = token(&client, world, &dataverse.http_url()).await?;
        Ok(Self { dataverse, client, token })
    }

    /// Registers an endpoint for the queue of a world, and a step with its image for each of three messages.
    pub fn register(&self, world: &World, format: Format) -> anyhow::Result<()> {
        let endpoint = json!({
            "name": "contactsync", "contract": 6, "namespaceformat": 2, "connectionmode": 1, "userclaim": 2,
            "namespaceaddress": format!("sb://localhost:{}/", world.bus.address().port()),
            "solutionnamespace": "local", "path": QUEUE, "messageformat": format.number(), "authtype": 2,
            "saskeyname": "RootManageSharedAccessKey", "saskey": "SAS_KEY_VALUE",
        });
        self.write("serviceendpoints", ENDPOINT, endpoint)?;
        for (number, message) in [(1, "Create"), (2, "Update"), (3, "Delete")] {
            let step = Uuid::from_u128(0x300 + number);
            self.write("sdkmessageprocessingsteps", step, self.step(message)?)?;
            let property = if message == "Create" { "Id" } else { "Target" };
            let (kind, alias) = if message == "Delete" { (0, "PreImage") } else { (1, "PostImage") };
            let image = json!({
                "name": "contactsync", "entityalias": alias, "imagetype": kind, "messagepropertyname": property,
                "attributes": IMAGE_COLUMNS,
                "sdkmessageprocessingstepid@odata.bind": format!("/sdkmessageprocessingsteps({step})"),
            });
            self.write("sdkmessageprocessingstepimages", Uuid::from_u128(0x400 + number), image)?;
        }
        Ok(())
    }

    fn step(&self, message: &str) -> anyhow::Result<Value> {
        let find = |table: &str, column: &str, wanted: &dyn Fn(&dataverse::value::Value) -> bool| {
            let rows = self.dataverse.rows(table).into_iter();
            let rows = rows.filter(move |(_, row)| row.get(column).is_some_and(wanted));
            rows.collect::<Vec<_>>()
        };
        let text = |text: &str| dataverse::value::Value::Text(text.to_owned());
        let (name, contact) = (text(message), text("contact"));
        let messages = find("sdkmessage", "name", &|value| *value == name);
        let (id, _) = messages.first().context("the message is known")?;
        let of_message = |value: &dataverse::value::Value| matches!(value, dataverse::value::Value::Lookup { id: to, .. } if to == id);
        let filters = find("sdkmessagefilter", "sdkmessageid", &of_message);
        let filter = filters.iter().find(|(_, row)| row.get("primaryobjecttypecode") == Some(&contact));
        let (filter, _) = filter.context("the table has the message")?;
        Ok(json!({
            "name": format!("contactsync: {message} of contact"), "stage": 40, "mode": 1, "rank": 1,
            "supporteddeployment": 0, "asyncautodelete": true, "invocationsource": 0,
            "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({ENDPOINT})"),
            "sdkmessageid@odata.bind": format!("/sdkmessages({id})"),
            "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({filter})"),
        }))
    }

    /// Writes a row past the Web API, as somebody with every right would.
    pub fn write(&self, set: &str, id: Uuid, columns: Value) -> anyhow::Result<()> {
        let columns: Map<String, Value> = serde_json::from_value(columns)?;
        let written = self.dataverse.write(set, id, &columns);
        written.map_err(|refusal| anyhow!("{set}: {} {}", refusal.code_text(), refusal.message))
    }

    /// Changes a contact by the Web API, or makes it.
    pub async fn change(&self, contact: Uuid, columns: &Value) -> anyhow::Result<()> {
        self.request(Method::PATCH, &format!("contacts({contact})"), Some(columns)).await
    }

    /// Deletes a contact by the Web API.
    pub async fn delete(&self, contact: Uuid) -> anyhow::Result<()> {
        self.request(Method::DELETE, &format!("contacts({contact})"), None).await
    }

    /// A request that has to be answered well.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<()> {
        let url = format!("{}/api/data/v9.2/{path}", self.dataverse.http_url());
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(serde_json::to_vec(body)?);
        }
        let answer = request.send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{path}: {status}: {}", answer.text().await?);
        Ok(())
    }
}

/// Settings by which a worker of this world asks an organization.
#[must_use]
pub fn settings(world: &World, dataverse: &Dataverse) -> String {
    format!(
        "[dataverse]\nurl = \"{}\"\n[dataverse.identity]\nauthority = \"{}\"\ntenant = \"{}\"\nclient_id = \"{}\"\n\
         client_secret = \"{}\"",
        dataverse.http_url(),
        world.graph.https_url(),
        world.graph.tenant().id,
        graph::DEFAULT_CLIENT_ID,
        graph::DEFAULT_SECRET,
    )
}

/// A token for the organization, from the authority that the world has.
async fn token(client: &Client, world: &World, organization: &str) -> anyhow::Result<String> {
    let url = format!("{}/{}/oauth2/v2.0/token", world.graph.http_url(), world.graph.tenant().id);
    let scope = format!("{organization}/.default");
    let client_id = graph::DEFAULT_CLIENT_ID.to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &client_id),
        ("client_secret", graph::DEFAULT_SECRET),
        ("scope", &scope),
    ];
    let form = Url::parse_with_params("http://localhost", &form)?.query().unwrap_or_default().to_owned();
    let request = client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
    let answer: Value = serde_json::from_str(&request.send().await?.error_for_status()?.text().await?)?;
    let token = answer["access_token"].as_str().context("the answer has a token")?;
    Ok(token.to_owned())
}
