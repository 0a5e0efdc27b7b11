//! `contactsync dataverse register`, `verify` and `unregister`, as the real binary, against a local Dataverse that posts
//! into the local Service Bus.

mod broken;
mod cut_off;
mod fire;
mod rights;

use std::{path::PathBuf, process::Output};

use anyhow::{Context, Result};
use emulator::dataverse::{Options, value::Value as Cell};
use serde_json::{Map, Value, json};
use tests::{binary, world::QUEUE};
use uuid::Uuid;

use super::Place;

const ENDPOINT: &str = "serviceendpoint";
const STEP: &str = "sdkmessageprocessingstep";
const IMAGE: &str = "sdkmessageprocessingstepimage";

/// Both sides of a queue, and the settings of a worker.
struct Ground {
    place: Place,
    settings: PathBuf,
}

impl Ground {
    async fn new() -> Result<Self> {
        let place = Place::start(Options::default()).await?;
        let settings = place.world.settings(&place.layer())?;
        Ok(Self { place, settings })
    }

    /// Runs a command until it ends.
    async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments)?;
        command.output().await.context("contactsync cannot be started")
    }

    fn command(&self, arguments: &[&str]) -> Result<tokio::process::Command> {
        let mut command = binary::command()?;
        command.arg("dataverse").args(arguments).arg("--config").arg(&self.settings);
        command.current_dir(self.place.world.folder()).kill_on_drop(true);
        Ok(command)
    }

    /// The same, and what it tells machines.
    async fn told(&self, arguments: &[&str]) -> Result<(Option<i32>, Value)> {
        let output = self.run(&[arguments, &["--json"]].concat()).await?;
        let told = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{} {}", text(&output.stdout), text(&output.stderr)))?;
        Ok((output.status.code(), told))
    }

    /// Registers, which must succeed.
    async fn register(&self) -> Result<Value> {
        let (code, told) = self.told(&["register", "--apply"]).await?;
        assert_eq!((code, &told["ok"]), (Some(0), &json!(true)), "{told:#}");
        Ok(told)
    }

    /// Kinds of what `verify` finds.
    async fn kinds(&self) -> Result<Vec<String>> {
        let (_, told) = self.told(&["verify"]).await?;
        Ok(kinds(&told))
    }

    fn count(&self, table: &str) -> usize {
        self.place.dataverse.rows(table).len()
    }

    /// Writes a row past all rights.
    fn write(&self, set: &str, id: Uuid, columns: &Value) -> Result<()> {
        let columns: &Map<String, Value> = columns.as_object().context("columns")?;
        self.place.dataverse.write(set, id, columns).map_err(|refusal| anyhow::anyhow!("{}", refusal.message))
    }

    /// The step for a message.
    fn step(&self, message: &str) -> Result<Uuid> {
        let name = format!("contactsync: {message} of contact");
        let is_it = |cell: Option<&Cell>| cell == Some(&Cell::Text(name.clone()));
        let mut rows = self.place.dataverse.rows(STEP).into_iter();
        rows.find(|(_, row)| is_it(row.get("name"))).map(|(id, _)| id).context("there is no such step")
    }

    fn endpoint(&self) -> Result<Uuid> {
        let name = Cell::Text("contactsync".to_owned());
        let mut rows = self.place.dataverse.rows(ENDPOINT).into_iter();
        rows.find(|(_, row)| row.get("name") == Some(&name)).map(|(id, _)| id).context("there is no endpoint")
    }

    /// The image of a step that is taken then.
    fn image(&self, message: &str, alias: &str) -> Result<Uuid> {
        let step = self.step(message)?;
        let mut rows = self.place.dataverse.rows(IMAGE).into_iter();
        let found = rows.find(|(_, row)| {
            let of =
                matches!(row.get("sdkmessageprocessingstepid"), Some(Cell::Lookup { id, .. }) if *id == step);
            of && row.get("entityalias") == Some(&Cell::Text(alias.to_owned()))
        });
        found.map(|(id, _)| id).context("there is no such image")
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn kinds(told: &Value) -> Vec<String> {
    let findings = told["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    findings.iter().filter_map(|one| one["kind"].as_str()).map(str::to_owned).collect()
}

/// What somebody else has registered: an endpoint with a step.
fn somebody_elses(ground: &Ground) -> Result<(Uuid, Uuid)> {
    let (endpoint, step) = (Uuid::from_u128(0xe1), Uuid::from_u128(0xe2));
    ground.write(
        "serviceendpoints",
        endpoint,
        &json!({
            "name": "billing", "contract": 6, "namespaceformat": 2, "namespaceaddress": "sb://other.servicebus.windows.net/",
            "solutionnamespace": "other", "path": "bills", "connectionmode": 1, "authtype": 2, "messageformat": 2,
            "userclaim": 1, "saskeyname": "send", "saskey": "x",
        }),
    )?;
    let organization = ground.place.dataverse.options().organization;
    let named = |name: &str| Uuid::new_v5(&organization, name.as_bytes());
    ground.write(
        "sdkmessageprocessingsteps",
        step,
        &json!({
            "name": "bills", "stage": 40, "mode": 1, "rank": 1, "supporteddeployment": 0, "asyncautodelete": true,
            "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({endpoint})"),
            "sdkmessageid@odata.bind": format!("/sdkmessages({})", named("Update")),
            "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({})", named("Update of contact")),
        }),
    )?;
    Ok((endpoint, step))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_registers_a_second_one_does_nothing_and_the_way_back_leaves_others_alone() -> Result<()>
{
    let ground = Ground::new().await?;
    let (endpoint, step) = somebody_elses(&ground)?;
    let planned = ground.run(&["register"]).await?;
    let said = text(&planned.stdout);
    assert_eq!(planned.status.code(), Some(1), "{said}");
    assert!(said.contains("create endpoint contactsync") && said.contains("--apply does them"), "{said}");
    assert!(!said.contains("SAS_KEY_VALUE"), "a key is shown to nobody");
    assert_eq!([ENDPOINT, STEP, IMAGE].map(|table| ground.count(table)), [1, 1, 0], "a plan writes nothing");

    let told = ground.register().await?;
    assert_eq!(kinds(&told), [""; 0], "{told:#}");
    assert_eq!([ENDPOINT, STEP, IMAGE].map(|table| ground.count(table)), [2, 3, 3]);
    let (code, told) = ground.told(&["verify", "--strict"]).await?;
    assert_eq!((code, kinds(&told).len()), (Some(0), 0), "{told:#}");
    let writes = |ground: &Ground| {
        let journal = ground.place.dataverse.journal();
        journal.iter().filter(|entry| entry.method != "GET").count()
    };
    let before = writes(&ground);
    let (code, told) = ground.told(&["register"]).await?;
    assert_eq!((code, &told["plan"]), (Some(0), &json!([])));
    let told = ground.register().await?;
    assert_eq!((&told["plan"], writes(&ground)), (&json!([]), before));
    // A solution takes in what is there already.
    let (code, _) = ground.told(&["register", "--apply", "--solution", "contactsync"]).await?;
    assert_eq!((code, ground.place.dataverse.components().len()), (Some(0), 3));
    assert!(
        ground
            .place
            .dataverse
            .journal()
            .iter()
            .all(|entry| entry.secrets.iter().all(|name| name == "saskey"))
    );

    let (code, told) = ground.told(&["unregister"]).await?;
    assert_eq!((code, told["plan"].as_array().map(Vec::len)), (Some(1), Some(6)), "{told:#}");
    assert_eq!(ground.count(ENDPOINT), 2, "a plan writes nothing");
    let (code, _) = ground.told(&["unregister", "--apply"]).await?;
    assert_eq!(code, Some(0));
    assert_eq!([ENDPOINT, STEP, IMAGE].map(|table| ground.count(table)), [1, 1, 0]);
    assert!(
        ground.place.dataverse.row(ENDPOINT, endpoint).is_some()
            && ground.place.dataverse.row(STEP, step).is_some()
    );
    let (code, told) = ground.told(&["unregister", "--apply"]).await?;
    assert_eq!((code, &told["plan"]), (Some(0), &json!([])));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_posts_changes_and_nothing_else() -> Result<()> {
    let ground = Ground::new().await?;
    ground.register().await?;
    let contact = Uuid::from_u128(0xc1);
    let write = |columns: Value| ground.write("contacts", contact, &columns);
    write(json!({ "firstname": "Ada", "lastname": "King" }))?;
    write(json!({ "telephone1": "1" }))?;
    write(json!({ "firstname": "Augusta" }))?;
    write(json!({ "adx_identity_username": Uuid::from_u128(1).to_string() }))?;
    let patience = tests::PATIENCE;
    ground
        .place
        .world
        .until(patience, "three messages are in the queue", |world| {
            let counts = world.bus.counts(QUEUE)?;
            Ok((counts.active == 3, format!("{counts:?}")))
        })
        .await?;
    // What was left out would be there by now, as it was written before the last one.
    assert_eq!(ground.place.world.bus.counts(QUEUE)?.active, 3);
    Ok(())
}
