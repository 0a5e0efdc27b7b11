//! The whole way of one change, from a person who saves a contact in Dataverse to the user in the directory, by the clock.

use std::time::Duration;

use emulator::{
    broker,
    dataverse::{pipeline::format::Format, value::Value},
    graph::User,
    journal::{Event, Role},
};
use serde_json::json;
use tokio::{time::Instant, try_join};
use uuid::Uuid;

use crate::{
    organization::{Organization, UPDATE_STEP},
    world::{Options, QUEUE, World},
};

const CONTACT: Uuid = Uuid::from_u128(0xc0);
const PERSON: Uuid = Uuid::from_u128(0xada);

/// What happened on the way, and how long after the person saved the contact.
pub type Stretch = (&'static str, Duration);

/// Lets a person save a contact, and a worker with these settings besides carry it to the directory.
pub async fn travel(settings: &str, patience: Duration) -> anyhow::Result<Vec<Stretch>> {
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(PERSON).with("givenName", "Ada").with("surname", "Byron"))?;
    let organization = Organization::start(&world).await?;
    let person =
        json!({"adx_identity_username": PERSON.to_string(), "firstname": "Ada", "lastname": "Byron"});
    organization.change(CONTACT, &person).await?;
    // The default of Dataverse. The job is to stay, so that it can be looked at.
    organization.register(&world, Format::Binary)?;
    organization.write("sdkmessageprocessingsteps", UPDATE_STEP, json!({"asyncautodelete": false}))?;
    let worker = world.start_worker(&world.settings(settings)?)?;
    let listens = |event: &Event| matches!(event, Event::Attached { role: Role::Receiver, address, .. } if address.contains(QUEUE));
    world.bus.journal().wait_for("the worker listens", listens).await?;
    let stretches = watch(&world, &organization, patience).await?;
    worker.stop().await?;
    Ok(stretches)
}

/// Saves the contact and looks at every station at once.
async fn watch(
    world: &World,
    organization: &Organization,
    patience: Duration,
) -> anyhow::Result<Vec<Stretch>> {
    let start = Instant::now();
    let journal = world.bus.journal();
    let here = |place: &broker::Place| place.to_string() == QUEUE;
    let saved = async {
        organization.change(CONTACT, &json!({"lastname": "Lovelace"})).await?;
        anyhow::Ok(start.elapsed())
    };
    let posted = async {
        let posted = |event: &Event| matches!(event, Event::Broker(broker::Event::Enqueued { place, .. }) if here(place));
        journal.wait_for("the message is in the queue", posted).await?;
        anyhow::Ok(start.elapsed())
    };
    let job = async {
        let done = |row: &emulator::dataverse::value::Row| row.get("statuscode") == Some(&Value::Choice(30));
        organization.dataverse.wait_for_row("asyncoperation", patience, done).await?;
        anyhow::Ok(start.elapsed())
    };
    let taken = async {
        let taken = |event: &Event| matches!(event, Event::Broker(broker::Event::Delivered { place, .. }) if here(place));
        journal.wait_for("the worker has the message", taken).await?;
        anyhow::Ok(start.elapsed())
    };
    let written = async {
        let named = |user: &User| user.text("surname") == Some("Lovelace");
        world.graph.wait_for_user(PERSON, patience, named).await?;
        anyhow::Ok(start.elapsed())
    };
    let settled = async {
        let settled = |event: &Event| matches!(event, Event::Broker(broker::Event::Settled { place, .. }) if here(place));
        journal.wait_for("the message is settled", settled).await?;
        anyhow::Ok(start.elapsed())
    };
    let (saved, posted, job, taken, written, settled) =
        try_join!(saved, posted, job, taken, written, settled)?;
    Ok(vec![
        ("Dataverse has saved the contact", saved),
        ("a system job has posted the change to Service Bus", posted),
        ("the system job has succeeded", job),
        ("the worker has the message", taken),
        ("Graph has the user's new name", written),
        ("the message is completed", settled),
    ])
}
