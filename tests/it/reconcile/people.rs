//! Contacts that people change in a Dataverse with real steps, while steps are switched off, and messages are lost, doubled and
//! mixed up: afterwards the directory is as the table says, by no more writes than users who differed.

use anyhow::{Context, Result};
use emulator::{
    broker::{Message, Mode},
    dataverse::{pipeline::format::Format, value},
    graph::User,
};
use rand::{
    RngExt, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use serde_json::{Map, Value, json};
use tests::{
    PATIENCE, binary,
    organization::{self, Organization, UPDATE_STEP},
    quick::{GUARDED, QUICK, contact, user},
    world::{Options, QUEUE, World},
};

use super::Told;

const CONTACTS: u128 = 30;
const CHANGES: usize = 90;
/// Columns, and the properties that they become.
const COLUMNS: [(&str, &str); 3] =
    [("firstname", "givenName"), ("lastname", "surname"), ("emailaddress1", "mail")];

/// Changes contacts. Tells how many messages come of it: none while the step is switched off.
async fn change_contacts(organization: &Organization, rng: &mut StdRng) -> Result<usize> {
    let mut posted = 0;
    for number in 0..CHANGES {
        let (column, _) = COLUMNS.choose(rng).context("a column")?;
        let host = if *column == "emailaddress1" { "@example.com" } else { "" };
        let value = json!({*column: format!("value{number}{host}")});
        let bypassed = rng.random_bool(0.2);
        if bypassed {
            organization.write(
                "sdkmessageprocessingsteps",
                UPDATE_STEP,
                json!({"statecode": 1, "statuscode": 2}),
            )?;
        }
        organization.change(contact(rng.random_range(1..=CONTACTS)), &value).await?;
        if bypassed {
            organization.write(
                "sdkmessageprocessingsteps",
                UPDATE_STEP,
                json!({"statecode": 0, "statuscode": 1}),
            )?;
        }
        posted += usize::from(!bypassed);
    }
    Ok(posted)
}

/// Takes all messages out of the queue and puts back what is left of them: a quarter is lost, some come twice, and none in its place.
fn mix_up(world: &World, rng: &mut StdRng) -> Result<()> {
    let taken = world
        .bus
        .broker(|broker, now| broker.receive(broker.resolve(QUEUE)?, Mode::ReceiveAndDelete, CHANGES, now))?;
    let mut messages: Vec<Message> = Vec::new();
    for delivery in taken {
        let copies = [0, 1, 1, 2].choose(rng).copied().unwrap_or_default();
        messages.extend(std::iter::repeat_n((*delivery.view.message).clone(), copies));
    }
    messages.shuffle(rng);
    world.store(messages)
}

/// The users who are not as their contacts say.
fn differing(world: &World, organization: &Organization) -> Result<Vec<u128>> {
    let mut differing = Vec::new();
    for number in 1..=CONTACTS {
        let row = organization.dataverse.row("contact", contact(number)).context("the contact is there")?;
        let user = world.user(user(number))?;
        let is_so = |(column, property): &(&str, &str)| match row.get(*column) {
            Some(value::Value::Text(text)) => user.text(property) == Some(text.as_str()),
            // An address that is not there stays; a name does not.
            _ => *property == "mail" || user.text(property).is_none(),
        };
        if !COLUMNS.iter().all(is_so) {
            differing.push(number);
        }
    }
    Ok(differing)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_changed_is_in_the_directory_whatever_became_of_its_messages() -> Result<()> {
    let mut rng = StdRng::seed_from_u64(7);
    let world = World::start(Options::default()).await?;
    let organization = Organization::start(&world).await?;
    for number in 1..=CONTACTS {
        world.graph.add_user(User::new(user(number)))?;
        // Before any step was registered.
        organization.change(contact(number), &json!({"adx_identity_username": user(number)})).await?;
    }
    organization.register(&world, Format::Json)?;
    let posted = change_contacts(&organization, &mut rng).await?;
    let all = |world: &World| {
        let waiting = world.bus.contents(QUEUE)?.len();
        Ok((waiting == posted, format!("{waiting} of {posted} are posted")))
    };
    world.until(PATIENCE, "all are posted", all).await?;
    mix_up(&world, &mut rng)?;
    let settings =
        world.layered(&[QUICK, GUARDED, &organization::settings(&world, &organization.dataverse)])?;
    let worker = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    for number in [3, 4] {
        let other: Map<String, Value> = serde_json::from_value(json!({"givenName": "Somebody"}))?;
        world.graph.write_user(user(number), other);
    }

    let before = differing(&world, &organization)?;
    assert!(before.len() > 5, "too little went wrong to show anything: {before:?}");
    let patches = world.patches().len();
    let mut command = binary::command()?;
    command.args(["reconcile", "--apply", "--max-changes", "100%", "--rate", "200", "--json", "--config"]);
    let told = Told::of(&command.arg(&settings).kill_on_drop(true).output().await?)?.expect(0);
    assert_eq!(told.event("applied")["posted"], json!(before.len()), "{}", told.text);
    world.drained(PATIENCE).await?;
    assert_eq!(differing(&world, &organization)?, [0_u128; 0], "{}", told.text);
    assert_eq!(world.patches().len() - patches, before.len(), "one write for each user who differed");
    worker.stop().await?;
    assert_eq!(world.reasons()?, Vec::<String>::new());
    Ok(())
}
