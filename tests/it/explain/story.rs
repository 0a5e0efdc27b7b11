//! Merges, throttling, dead letters, a return, a kill in the middle of a write and a replay: each story is what the services
//! have seen.

use std::time::Duration;

use anyhow::Result;
use emulator::graph::{Fault, RetryAfter, User};
use serde_json::{Value, json};
use tests::explained::{self, Comparison, Recorder, all_files};

use super::{PATIENCE, QUEUE, Uuid, World, change, contact, renamed, settings, text, user, world};
use crate::replay::contactsync;

/// A value of a person, which must be nowhere.
const MARK: &str = "Zebulon";

/// A user who is not there at first.
const LATE: u128 = 40;
/// One whose name Graph would refuse.
const LONG: u128 = 5;
/// One whose write is under way when the worker is killed.
const KILLED: u128 = 6;

fn name(at: usize) -> String {
    format!("{MARK}{at}")
}

/// The changes of the first run.
fn changes() -> Vec<tests::message::ContactChange> {
    let many = (1..=4_u128).flat_map(|number| (1..=5).map(move |at| renamed(number, at, &name(at))));
    let others = [
        renamed(LONG, 1, &MARK.repeat(10)),
        renamed(LATE, 1, &name(1)),
        // Of a contact without a user.
        tests::message::ContactChange::new(contact(50), 1)
            .set("firstname", name(1))
            .after("adx_identity_username", Value::Null),
        // Nothing of it is mapped.
        change(1, 7),
    ];
    many.chain(others).collect()
}

/// Kills a worker that has a write under way, when its journal tells so.
async fn kill_in_a_write(
    world: &World,
    settings: &std::path::Path,
    worker: tests::world::Worker,
) -> Result<()> {
    world.graph.script(Fault::hold().patches().user(user(KILLED)));
    world.post_changes(&[renamed(KILLED, 1, &name(1))]).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let story = explained::journal(settings, user(KILLED)).await?;
        let under_way = story["writes"].as_array().is_some_and(|writes| {
            writes.iter().any(|write| write["ended"].is_null() && world.graph.held() > 0)
        });
        if under_way {
            break;
        }
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "no write is under way: {story:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.kill().await?;
    world.graph.release();
    world.bus.lapse_locks(QUEUE, None)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_story_is_what_the_services_have_seen_and_tells_no_value() -> Result<()> {
    let world = world(8).await?;
    let recorder = Recorder::start(&world);
    let settings = settings(&world, &["retry.tries = 2", "[telemetry]\nlog_level = \"info,worker=debug\""])?;
    world.graph.script(Fault::status(429).retry_after(RetryAfter::Seconds(1.0)).patches().times(1));
    // More failures than tries under lock: the message comes back as a copy.
    world.graph.script(Fault::status(503).patches().user(user(3)).times(3));
    world.post_changes(&changes()).await?;
    let first = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    let mut logs = first.log()?;
    kill_in_a_write(&world, &settings, first).await?;

    let second = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    world.graph.add_user(User::new(user(LATE)))?;
    contactsync(&settings, "replay --reason UserNotFound --rate 1000").await?.expect(0);
    world.drained(PATIENCE).await?;
    logs += &second.stop().await?;

    let users: Vec<_> = (1..=6).chain([LATE]).map(user).collect();
    let contacts: Vec<_> = (1..=6).chain([LATE, 50]).map(contact).collect();
    let ids = users.iter().chain(&contacts).copied();
    let compared = Comparison::of(&settings, &recorder.end(&world)?, ids).await?;
    assert_eq!((&*compared.wrong, &*compared.untold), (&[][..], &[][..]));
    // At most the one whose answer nobody was there to hear, if the local Graph has seen it.
    assert!(compared.begun <= 1, "{} writes and settlements are told as begun", compared.begun);
    assert!(compared.told > 30, "only {} are told", compared.told);
    check_details(&settings).await?;
    check_nothing_personal(&world, &settings, &logs, &users, &contacts).await
}

async fn check_details(settings: &std::path::Path) -> Result<()> {
    let events = |story: &Value, kind: &str| -> Vec<Value> {
        let events = story["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().filter(|event| event["event"] == kind).collect()
    };
    let merged = explained::journal(settings, user(1)).await?;
    let most = merged["writes"].as_array().into_iter().flatten();
    let most = most.filter_map(|write| Some(write["messages"].as_array()?.len())).max();
    assert!(most > Some(1), "changes that waited together are one write: {merged:#}");

    let returned = explained::journal(settings, contact(3)).await?;
    let due = events(&returned, "settling").into_iter().find(|event| event["outcome"] == "returned");
    let due = due.expect("a message that came back");
    assert!(due["due"].is_string() && due["cause"]["code"].is_string(), "{due}");
    let copies = events(&returned, "seen").into_iter().filter(|seen| seen["attempt"] == 1);
    assert!(copies.count() >= 1, "{returned:#}");

    let killed = explained::journal(settings, contact(KILLED)).await?;
    let cut_off = events(&killed, "cutOff");
    assert_eq!(
        (cut_off.len(), &cut_off[0]["writes"]),
        (1, &json!([killed["writes"][0]["write"]])),
        "{killed:#}"
    );
    assert_eq!(killed["messages"][0]["deliveries"].as_array().map(Vec::len), Some(2), "{killed:#}");

    let several = [&*contact(1).to_string(), "UserNotFound", "--offline", "--json"];
    let (code, out, _) = explained::run(settings, &several).await?;
    let several: Value = serde_json::from_str(&out)?;
    let (id, name) = (&several[0]["id"], &several[1]["name"]);
    assert_eq!((code, id, name), (Some(0), &json!(contact(1)), &json!("UserNotFound")));

    let replayed = explained::journal(settings, user(LATE)).await?;
    let ends: Vec<_> = events(&replayed, "settling").iter().map(|end| end["outcome"].clone()).collect();
    assert_eq!(ends, ["dead_lettered", "applied"], "{replayed:#}");
    assert_eq!(events(&replayed, "seen")[1]["replays"], json!(1));
    let needless = explained::journal(settings, contact(50)).await?;
    assert_eq!(events(&needless, "settling")[0]["outcome"], "unchanged");
    let told = text(settings, contact(LONG), &["--offline"]).await?;
    assert!(
        told.contains("dead letter: ValueInvalid") && told.contains("contactsync explain ValueInvalid"),
        "{told}"
    );
    Ok(())
}

/// No value is told anywhere, and nothing that is kept names anybody.
async fn check_nothing_personal(
    world: &World,
    settings: &std::path::Path,
    logs: &str,
    users: &[Uuid],
    contacts: &[Uuid],
) -> Result<()> {
    let kept = all_files(&world.folder().join("journal"))?;
    let mut told = logs.to_owned();
    for id in users.iter().chain(contacts) {
        told += &text(settings, *id, &[]).await?;
        told += &text(settings, *id, &["--json"]).await?;
        for form in [id.to_string(), id.simple().to_string()] {
            assert!(!kept.contains(&form), "the journal names {id}");
        }
    }
    assert!(told.len() > 10_000 && kept.len() > 5_000);
    assert_eq!(format!("{told}{kept}").matches(MARK).count(), 0);
    Ok(())
}
