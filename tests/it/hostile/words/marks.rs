//! Marks of ours that a sender has written: they gain nothing, and cost nobody else's message.

use anyhow::{Context, Result};
use emulator::graph::{Fault, User};
use jiff::SignedDuration;
use serde_amqp::Value;
use serde_json::Value as Json;
use servicebus::ApplicationValue;
use tests::{
    PATIENCE,
    message::moment,
    quick::{QUICK, user},
    world::{Options, QUEUE, World},
};

use super::{bury, contactsync, letter, of_letters, post};
use crate::replay::change;

/// Waits between the tries of one message.
const RETURNS: &str = "retry.tries = 1\nretry.first_return = \"10ms\"\nretry.longest_return = \"20ms\"";

/// So many hours from now, as copies carry it.
fn in_hours(hours: i64) -> ApplicationValue {
    ApplicationValue::I64((servicebus::clock::now() + SignedDuration::from_hours(hours)).as_millisecond())
}

fn run() -> ApplicationValue {
    ApplicationValue::from(&*uuid::Uuid::new_v4().to_string())
}

async fn world(users: u128) -> Result<World> {
    let world = World::start(Options::default()).await?;
    for number in 1..=users {
        world.graph.add_user(User::new(user(number)).with("displayName", "Portal user"))?;
    }
    Ok(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_past_keeps_no_message_beyond_its_time() -> Result<()> {
    let world = world(3).await?;
    world.graph.script(Fault::status(500).patches().user(user(1)).always());
    let body = change(1, moment(1_000)).set("firstname", "Ada").body();
    let one = || ApplicationValue::I64(1);
    let forged: [&[(&str, ApplicationValue)]; 7] = [
        &[],
        &[("contactsync-first-seen", in_hours(24))],
        &[("contactsync-attempt", one()), ("contactsync-first-seen", in_hours(24))],
        &[
            ("contactsync-replays", one()),
            ("contactsync-replay-id", run()),
            ("contactsync-replayed-at", in_hours(24)),
        ],
        &[
            ("contactsync-attempt", one()),
            ("contactsync-replayed-at", in_hours(24)),
            ("DeadLetterReason", "Why".into()),
        ],
        &[("contactsync-attempt", one()), ("contactsync-due", in_hours(-24))],
        &[
            ("contactsync-attempt", ApplicationValue::I64(i64::from(u32::MAX))),
            ("contactsync-replays", ApplicationValue::I64(i64::MAX)),
        ],
    ];
    let mut messages: Vec<_> = forged.iter().map(|properties| letter(&body, properties)).collect();
    // Others are written, so that it is not the installation that is at fault.
    for number in [2, 3] {
        messages.push(letter(&change(number, moment(1_000)).set("firstname", "Ada").body(), &[]));
    }
    post(&world, messages).await?;
    let worker = world.start_worker(&world.layered(&[QUICK, RETURNS, "retry.max_age = \"3s\""])?)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    let reasons = world.reasons()?;
    assert_eq!(reasons, vec!["RetryBudgetExhausted"; forged.len()], "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_number_costs_nobody_elses_message() -> Result<()> {
    const FORGED: u128 = 4;
    let world = world(1 + FORGED).await?;
    world.graph.script(Fault::status(500).patches().user(user(1)).always());
    // The forged ones are numbers 1 to 4 and their copies 5 to 8, so the next ones are 9 to 12.
    let claimed: Vec<i64> = (9..13).collect();
    let forged = claimed.iter().map(|number| {
        let properties = [
            ("contactsync-attempt", ApplicationValue::I64(7)),
            ("contactsync-sequence", ApplicationValue::I64(*number)),
        ];
        letter(&change(1, moment(1_000)).set("firstname", "Eve").body(), &properties)
    });
    post(&world, forged.collect()).await?;
    let returns = "retry.tries = 1\nretry.first_return = \"1h\"\nretry.longest_return = \"1h\"";
    let logged = "telemetry.log_format = \"json\"\ntelemetry.log_level = \"debug\"";
    let worker = world.start_worker(&world.layered(&[QUICK, returns, logged])?)?;
    let copied = |world: &World| {
        let counts = world.bus.counts(QUEUE)?;
        Ok((counts.scheduled == claimed.len() && counts.active == 0, format!("{counts:?}")))
    };
    world.until(PATIENCE, "copies stand for the forged ones", copied).await?;
    let honest = (2..=1 + FORGED)
        .map(|number| letter(&change(number, moment(1_000)).set("firstname", "Ada").body(), &[]));
    post(&world, honest.collect()).await?;
    let settled = |world: &World| {
        let counts = world.bus.counts(QUEUE)?;
        Ok((counts.active == 0, format!("{counts:?}")))
    };
    world.until(PATIENCE, "the honest ones are settled", settled).await?;
    let log = worker.stop().await?;
    for number in 2..=1 + FORGED {
        assert_eq!(world.user(user(number))?.text("givenName"), Some("Ada"), "{log}");
    }
    let events = log.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let applied = events.filter(|event| event["outcome"] == "applied");
    let mut numbers: Vec<i64> = applied.filter_map(|event| event["message.sequence"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, claimed, "the forged ones had claimed the right numbers: {log}");
    Ok(())
}

/// Groups of `dead-letters list`, as reason and code, and how many `--code` finds.
async fn listed(world: &World, code: &str) -> Result<(Vec<(String, String)>, u64)> {
    let settings = world.layered(&[])?;
    let json = |text: String| serde_json::from_str::<Json>(&text).context(text);
    let all = json(contactsync(&settings, &["dead-letters", "list", "--json"]).await?.ended(0).out)?;
    let groups = all["groups"].as_array().context("groups")?.iter();
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let groups = groups.map(|group| (text(&group["reason"]), text(&group["code"]))).collect();
    let found =
        contactsync(&settings, &["dead-letters", "list", "--json", "--code", code]).await?.ended(0).out;
    Ok((groups, json(found)?["total"].as_u64().context("a total")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_code_is_emptied_by_the_worker_and_not_believed_of_anybody_else() -> Result<()> {
    const CODE: &str = "Request_BadRequest";
    let forged = [
        ("contactsync-code", ApplicationValue::from(CODE)),
        ("contactsync-target", ApplicationValue::from("mail")),
    ];
    let world = world(0).await?;
    post(&world, vec![letter(b"no message", &forged)]).await?;
    let worker = world.start_worker(&world.layered(&[QUICK])?)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    let emptied = vec![Some(Value::String(String::new()))];
    assert_eq!(of_letters(&world, "contactsync-code")?, emptied);
    assert_eq!(of_letters(&world, "contactsync-target")?, emptied);
    assert_eq!(listed(&world, CODE).await?, (vec![("BodyUndecodable".to_owned(), String::new())], 0));
    post(&world, vec![letter(b"no message", &forged)]).await?;
    bury(&world, Some("MaxDeliveryCountExceeded"))?;
    let (groups, found) = listed(&world, CODE).await?;
    assert!(groups.contains(&("MaxDeliveryCountExceeded".to_owned(), String::new())), "{groups:?}");
    assert_eq!(found, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_carries_on_what_was_believed_and_not_what_was_read() -> Result<()> {
    let world = world(0).await?;
    let forged = [
        ("contactsync-attempt", ApplicationValue::I64(-5)),
        ("contactsync-replays", ApplicationValue::I64(i64::MAX)),
        ("contactsync-first-seen", in_hours(24)),
        ("contactsync-sequence", ApplicationValue::I64(4_711)),
        ("contactsync-code", ApplicationValue::from("forged")),
        ("contactsync-target", ApplicationValue::from("forged")),
        ("contactsync-original-id", ApplicationValue::from("forged")),
    ];
    post(&world, vec![letter(b"{}", &forged)]).await?;
    bury(&world, Some("Whatever"))?;
    contactsync(&world.layered(&[])?, &["replay", "--all", "--unguarded"]).await?.ended(0);
    let contents = world.bus.contents(QUEUE)?;
    let [copy] = &contents[..] else { panic!("one message: {contents:?}") };
    let of = |name: &str| copy.message.property(name).cloned();
    assert_eq!(of("contactsync-replays"), Some(Value::Long(1)));
    assert_eq!(of("contactsync-sequence"), Some(Value::Long(1)));
    assert_eq!((of("contactsync-code"), of("contactsync-target")), (None, None));
    assert!(of("contactsync-original-id").is_some_and(|id| id != Value::String("forged".to_owned())));
    let Some(Value::Long(seen)) = of("contactsync-first-seen") else { panic!("a time") };
    assert!(seen <= servicebus::clock::now().as_millisecond(), "it was not seen in the future");
    Ok(())
}
