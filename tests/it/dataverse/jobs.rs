//! `dataverse jobs`: what could not be posted is told by reason, resumed, or brought back.

use anyhow::{Context, Result};
use emulator::{
    dataverse::{Dataverse, Options, value::Row, value::Value as Column},
    graph::User,
    sas::Rule,
};
use serde_json::{Map, Value, json};
use servicebus::ConnectionString;
use tests::{PATIENCE, quick::user, world::QUEUE};
use uuid::{Uuid, uuid};

use super::{Place, Told};

const ENDPOINT: Uuid = uuid!("0e000000-0000-4000-8000-000000000001");
const STEP: Uuid = uuid!("0e000000-0000-4000-8000-000000000002");
const CONTACT: Uuid = uuid!("0c000000-0000-4000-8000-000000000001");
const USER: Uuid = user(1);
const FAILED: i32 = 31;
const WAITING: i32 = 10;

fn columns(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(columns) => columns,
        other => panic!("{other} is no row"),
    }
}

/// The row of a table whose columns say this.
fn found(dataverse: &Dataverse, table: &str, wanted: impl Fn(&Row) -> bool) -> Result<Uuid> {
    let row = dataverse.rows(table).into_iter().find(|(_, row)| wanted(row));
    row.map(|(id, _)| id).with_context(|| format!("no {table} is as wanted"))
}

fn is_text(row: &Row, column: &str, text: &str) -> bool {
    matches!(row.get(column), Some(Column::Text(is)) if is == text)
}

impl Place {
    /// The namespace as an endpoint names it.
    fn address(&self) -> Result<String> {
        let parsed = ConnectionString::parse(&self.world.bus.connection_string())?;
        Ok(format!("sb://{}/", parsed.endpoint.authority()))
    }

    /// An endpoint that is right in all but these columns, and a step that posts updates by it.
    fn register(&self, other: Value) -> Result<()> {
        let rule = Rule::default();
        let mut endpoint = columns(json!({
            "name": "contactsync", "contract": 6, "namespaceformat": 2, "namespaceaddress": self.address()?,
            "solutionnamespace": "local", "path": QUEUE, "connectionmode": 1, "authtype": 2, "saskeyname": rule.name,
            "saskey": rule.key, "messageformat": 2, "messagecharset": 0, "userclaim": 1,
        }));
        endpoint.extend(columns(other));
        endpoint.retain(|_, value| !value.is_null());
        let dataverse = &self.dataverse;
        let written = dataverse.write("serviceendpoints", ENDPOINT, &endpoint);
        written.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        let update = found(dataverse, "sdkmessage", |row| is_text(row, "name", "Update"))?;
        let filter = found(dataverse, "sdkmessagefilter", |row| {
            is_text(row, "primaryobjecttypecode", "contact")
                && matches!(row.get("sdkmessageid"), Some(Column::Lookup { id, .. }) if *id == update)
        })?;
        let step = columns(json!({
            "name": "contactsync: Update of contact", "stage": 40, "mode": 1, "rank": 1, "supporteddeployment": 0,
            "asyncautodelete": true,
            "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({ENDPOINT})"),
            "sdkmessageid@odata.bind": format!("/sdkmessages({update})"),
            "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({filter})"),
        }));
        let written = dataverse.write("sdkmessageprocessingsteps", STEP, &step);
        written.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
    }

    fn contact(&self, id: Uuid, values: Value) -> Result<()> {
        let written = self.dataverse.write_contact(id, &columns(values));
        written.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
    }

    /// Waits for so many jobs with this status reason.
    async fn jobs_with(&self, status: i32, count: usize) -> Result<()> {
        let is = |row: &Row| row.get("statuscode") == Some(&Column::Choice(status));
        let enough = |rows: &[(Uuid, Row)]| rows.iter().filter(|(_, row)| is(row)).count() == count;
        self.dataverse.wait_for_rows("asyncoperation", PATIENCE, enough).await?;
        Ok(())
    }

    async fn jobs(&self, arguments: &[&str]) -> Result<Told> {
        self.run(&[], &[&["dataverse", "jobs"], arguments].concat()).await
    }
}

/// A contact that has a user.
fn ada() -> Value {
    json!({"adx_identity_username": USER.to_string(), "firstname": "Ada", "lastname": "King",
        "emailaddress1": "ada@example.org"})
}

#[track_caller]
fn only_group(told: &Told) -> &Value {
    let groups = told.document["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(groups.len(), 1, "{:#} {}", told.document, told.aside);
    &groups[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_for_a_job_that_failed_is_told_with_its_remedy() -> Result<()> {
    for (wrong, code, meaning, remedy) in [
        (json!({"saskey": null}), "0x80081112", "the endpoint has no key", "set the key"),
        (
            json!({"saskey": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}),
            "0x80044178",
            "gave no token",
            "the right Send",
        ),
        (json!({"path": "gone"}), "0x80044175", "could not be posted", "queue is missing"),
        (json!({"authtype": 1}), "0x80050209", "Access Control Service", "register the endpoint again"),
    ] {
        let place = Place::start(Options::default()).await?;
        place.register(wrong)?;
        place.contact(CONTACT, ada())?;
        place.contact(CONTACT, json!({"firstname": "Augusta"}))?;
        place.jobs_with(FAILED, 1).await?;
        let told = place.jobs(&["--failed"]).await?;
        assert_eq!(told.code, Some(1), "{code}");
        let group = only_group(&told);
        assert_eq!(
            (&group["code"], &group["count"], &group["state"]),
            (&json!(code), &json!(1), &json!("failed"))
        );
        let text = |member: &str| group[member].as_str().unwrap_or_default();
        assert!(text("meaning").contains(meaning) && text("remedy").contains(remedy), "{group}");
        assert_eq!(group["step"], json!(STEP));
        assert!(!told.document.to_string().contains("ada@example.org"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_no_proof_and_a_queue_that_nobody_posts_to_is_told() -> Result<()> {
    let place = Place::start(Options::default()).await?;
    let told = place.jobs(&[]).await?;
    assert_eq!(told.code, Some(1));
    assert!(told.aside.contains("no service endpoint of dataverse posts to contacts"), "{}", told.aside);

    place.register(json!({"name": "named otherwise"}))?;
    let told = place.jobs(&[]).await?;
    assert_eq!((told.code, &told.document["groups"]), (Some(0), &json!([])), "{}", told.aside);
    assert_eq!(told.document["lastReceived"], Value::Null);
    assert_eq!(told.document["endpoints"][0]["postsHere"], json!(true));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_are_resumed_once_their_cause_is_mended() -> Result<()> {
    let place = Place::start(Options::default()).await?;
    place.register(json!({"namespaceaddress": "sb://nowhere.example/"}))?;
    place.contact(CONTACT, ada())?;
    for name in ["Augusta", "Ada"] {
        place.contact(CONTACT, json!({"firstname": name}))?;
    }
    place.jobs_with(WAITING, 2).await?;
    let told = place.jobs(&["--resume"]).await?;
    assert_eq!(told.code, Some(1));
    let group = only_group(&told);
    assert_eq!((&group["code"], &group["state"]), (&json!("0x80044306"), &json!("waiting")));
    assert_eq!(told.document["resume"], json!({"done": false, "waiting": 2, "resumed": 0, "notWaiting": 0}));
    assert_eq!(place.world.bus.contents(QUEUE)?.len(), 0);

    let mended = columns(json!({"namespaceaddress": place.address()?}));
    place
        .dataverse
        .write("serviceendpoints", ENDPOINT, &mended)
        .map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    let told = place.jobs(&["--resume", "--yes"]).await?;
    assert_eq!(
        told.document["resume"],
        json!({"done": true, "waiting": 2, "resumed": 2, "notWaiting": 0}),
        "{}",
        told.aside
    );
    assert_eq!(told.code, Some(0));
    // What succeeds deletes itself.
    place.dataverse.wait_for_rows("asyncoperation", PATIENCE, <[_]>::is_empty).await?;
    assert_eq!(place.world.bus.contents(QUEUE)?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_of_failed_jobs_come_back_with_what_they_hold_now() -> Result<()> {
    let place = Place::start(Options::default()).await?;
    let user =
        User::new(USER).with("givenName", "Ada").with("surname", "Byron").with("mail", "old@example.org");
    place.world.graph.add_user(user)?;
    place.register(json!({"saskey": null}))?;
    let [unlinked, gone] = [2, 3].map(|n| Uuid::from_u128(CONTACT.as_u128() + n));
    place.contact(CONTACT, ada())?;
    for (id, name) in [(CONTACT, "Augusta"), (CONTACT, "Augusta Ada"), (unlinked, "Charles"), (gone, "Mary")]
    {
        if id != CONTACT {
            place.contact(id, json!({"lastname": "Nobody"}))?;
        }
        place.contact(id, json!({"firstname": name}))?;
    }
    place.jobs_with(FAILED, 4).await?;
    place.dataverse.delete("contacts", gone).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;

    let told = place.jobs(&["--again"]).await?;
    assert_eq!(told.code, Some(1), "{}", told.aside);
    let again = &told.document["again"];
    assert_eq!(
        (&again["done"], &again["jobs"], &again["gone"], &again["unlinked"]),
        (&json!(false), &json!(4), &json!(1), &json!(1))
    );
    assert_eq!(again["contacts"], json!([{"contact": CONTACT, "messageId": null}]));
    assert_eq!(place.world.bus.contents(QUEUE)?.len(), 0);

    let told = place.jobs(&["--again", "--yes"]).await?;
    assert_eq!((told.code, &told.document["again"]["done"]), (Some(0), &json!(true)), "{}", told.aside);
    assert_eq!(place.world.bus.contents(QUEUE)?.len(), 1);
    let journal = place.dataverse.journal();
    assert!(journal.iter().all(|entry| entry.secrets.is_empty()), "no secret column is asked for");

    let worker = place.world.start_worker(&place.world.settings("")?)?;
    place.world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    let user = place.world.graph.user(USER).context("the user is there")?;
    let property =
        |name: &str| user.properties.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert_eq!(
        (property("givenName"), property("surname")),
        ("Augusta Ada".to_owned(), "King".to_owned()),
        "{log}"
    );
    assert_eq!(property("mail"), "ada@example.org");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_asked_for_by_step_and_date_and_nothing_is_done_by_yes_alone() -> Result<()> {
    let place = Place::start(Options::default()).await?;
    place.register(json!({"saskey": null}))?;
    place.contact(CONTACT, ada())?;
    place.contact(CONTACT, json!({"firstname": "Augusta"}))?;
    place.jobs_with(FAILED, 1).await?;
    let journal = place.dataverse.journal().len();
    let told = place.jobs(&["--yes"]).await?;
    assert!(told.code == Some(1) && told.aside.contains("--resume or --again"), "{}", told.aside);
    assert_eq!(place.dataverse.journal().len(), journal, "nothing was asked");
    place.jobs(&["--since", "2h"]).await?;
    let asked = place.dataverse.journal().into_iter().filter(|entry| entry.path.contains("asyncoperations"));
    let asked: Vec<_> = asked.map(|entry| entry.path).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let bounded =
        |path: &String| path.contains("_owningextensionid_value") && path.contains("createdon%20ge%20");
    assert!(
        asked.iter().all(bounded),
        "a table of millions of rows is never asked for as a whole: {asked:?}"
    );
    Ok(())
}
