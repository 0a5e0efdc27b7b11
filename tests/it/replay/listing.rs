//! Looking at dead letters: groups, one of them, a file; and taking them out.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value as Json;
use tests::{
    load::usage::Usage,
    message::moment,
    world::{DEAD_LETTERS, Options, QUEUE, World},
};
use tokio::io::AsyncReadExt;

use super::{Dead, QUICK, assert_untouched, bury, change, command, contact, contactsync, ids, user};

const LETTERS: usize = 100_000;
/// All bodies together are far more than the command may hold.
const BODY: usize = 2_000;

fn refused(number: usize, code: &'static str, target: &'static str) -> Dead {
    let properties = vec![("contactsync-code", code), ("contactsync-target", target)];
    Dead { properties, ..Dead::new(format!("m-{number}"), "{}", "GraphRefused") }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_counted_by_reason_code_property_and_age() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let mut letters: Vec<_> = (0..7).map(|n| refused(n, "Request_BadRequest", "mail")).collect();
    letters.extend((7..10).map(|n| refused(n, "Request_BadRequest", "surname")));
    letters.extend((10..12).map(|n| Dead::new(format!("m-{n}"), "{}", "UserNotFound")));
    bury(&world, &letters)?;
    let settings = world.settings("")?;
    let text = contactsync(&settings, "dead-letters list").await?.expect(0).out;
    assert!(
        text.contains("GraphRefused") && text.contains("surname") && text.contains("12 dead letters"),
        "{text}"
    );
    let json = contactsync(&settings, "dead-letters list --json --by code,reason").await?.expect(0).out;
    let json: Json = serde_json::from_str(&json)?;
    assert_eq!((&json["total"], &json["groups"][0]["count"]), (&12.into(), &10.into()));
    assert_eq!(
        (&json["groups"][0]["code"], &json["groups"][1]["code"]),
        (&"Request_BadRequest".into(), &"".into())
    );
    assert_eq!(json["groups"][0]["ages"]["withinHour"], 10);
    let some =
        contactsync(&settings, "dead-letters list --json --property mail --limit 5").await?.expect(0).out;
    assert_eq!(serde_json::from_str::<Json>(&some)?["total"], 5);
    assert_untouched(&world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_graphs_code_and_property_so_that_they_can_be_chosen_by() -> Result<()> {
    use emulator::graph::{Fault, User};
    let world = World::start(Options::default()).await?;
    world.graph.add_user(User::new(user(1)).with("displayName", "Portal user"))?;
    world.graph.script(Fault::status(400).patches().always());
    let worker = world.start_worker(&world.layered(&[QUICK])?)?;
    world.post_changes(&[change(1, moment(1_000)).set("firstname", "Ada")]).await?;
    world.post_changes(&[change(1, moment(2_000)).set("firstname", "x".repeat(300))]).await?;
    let both = |world: &World| Ok((ids(world, DEAD_LETTERS)?.len() == 2, String::new()));
    world.until(super::PATIENCE, "two dead letters", both).await?;
    worker.stop().await?;
    let listed = contactsync(&world.settings("")?, "dead-letters list --json").await?.expect(0).out;
    let listed: Json = serde_json::from_str(&listed)?;
    let groups = listed["groups"].as_array().context("groups")?;
    let told: Vec<_> = groups.iter().map(|g| (g["reason"].as_str(), g["target"].as_str())).collect();
    assert!(told.contains(&(Some("ValueInvalid"), Some("givenName"))), "{listed}");
    let refused = groups.iter().find(|group| group["reason"] == "GraphRefused").context("refused")?;
    assert!(refused["code"].as_str().is_some_and(|code| !code.is_empty()), "{listed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_letter_is_shown_with_what_it_asks_for_and_without_values() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let change = change(1, moment(1_000)).set("firstname", "Secretive");
    bury(&world, &[Dead::new("m-1", change.body(), "UserNotFound")])?;
    let settings = world.settings("")?;
    let text = contactsync(&settings, "dead-letters show 1").await?.expect(0).out;
    for told in ["UserNotFound", "contactsync explain UserNotFound", "firstname", "givenName"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(text.contains(&contact(1).to_string()) && text.contains(&user(1).to_string()), "{text}");
    assert!(!text.contains("Secretive"), "{text}");
    let json = contactsync(&settings, "dead-letters show 1 --values --json").await?.expect(0).out;
    let json: Json = serde_json::from_str(&json)?;
    assert_eq!(json["now"]["changes"][0]["write"]["set"]["givenName"], "Secretive");
    let missing = contactsync(&settings, "dead-letters show 2").await?.expect(1);
    assert!(missing.err.contains("there is no dead letter 2"), "{}", missing.err);
    assert_untouched(&world)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_goes_on_where_it_was_cut_off_and_can_be_put_back() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let letters: Vec<_> = (0..30).map(|n| refused(n, "Request_BadRequest", "mail")).collect();
    bury(&world, &letters[..20])?;
    let settings = world.settings("")?;
    let file = world.folder().join("letters.jsonl");
    contactsync(&settings, "dead-letters export letters.jsonl").await?.expect(0);
    let whole = std::fs::read_to_string(&file)?;
    assert_eq!(whole.lines().count(), 20);
    // As a crash would leave it, in the middle of a line.
    std::fs::write(&file, &whole[..whole.len() - 40])?;
    bury(&world, &letters[20..])?;
    contactsync(&settings, "dead-letters export letters.jsonl").await?.expect(0);
    let gone_on = std::fs::read_to_string(&file)?;
    assert!(gone_on.starts_with(&whole) && gone_on.lines().count() == 30);
    assert_untouched(&world)?;
    let purge = "dead-letters purge --reason GraphRefused --sequence 6..";
    let asked = contactsync(&settings, purge).await?.expect(0);
    assert!(asked.out.contains("25 dead letters would be removed"), "{}", asked.out);
    contactsync(&settings, &format!("{purge} --yes --export kept.jsonl")).await?.expect(0);
    assert_eq!(std::fs::read_to_string(world.folder().join("kept.jsonl"))?.lines().count(), 25);
    assert_eq!(ids(&world, DEAD_LETTERS)?, ["m-0", "m-1", "m-2", "m-3", "m-4"]);
    assert_untouched(&world)?;
    let replay = "replay --unguarded --rate 1000 --from kept.jsonl --sequence 11..";
    contactsync(&settings, replay).await?.expect(0);
    let mut back = ids(&world, QUEUE)?;
    back.sort_by_key(|id| id[2..].parse::<u32>().unwrap_or(0));
    assert_eq!(back, (10..30).map(|n| format!("m-{n}")).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_wants_a_filter_and_a_yes() -> Result<()> {
    let world = World::start(Options::default()).await?;
    bury(&world, &[Dead::new("m-1", "{}", "UserNotFound")])?;
    let settings = world.settings("")?;
    let all = contactsync(&settings, "dead-letters purge --yes --limit 5").await?.expect(1);
    assert!(all.err.contains("at least one filter"), "{}", all.err);
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_dead_letters_are_counted_in_bounded_memory_and_with_progress() -> Result<()> {
    let world = World::start(Options::default()).await?;
    world.unbound()?;
    let same = Dead::new("", vec![b'x'; BODY], "GraphRefused");
    let letters: Vec<_> = (0..LETTERS).map(|n| Dead { id: format!("m-{n}"), ..same.clone() }).collect();
    bury(&world, &letters)?;
    drop(letters);
    let mut child = command(&world.settings("")?, "dead-letters list --json")?.spawn()?;
    let id = child.id().context("it runs")?;
    let (mut out, mut err) = (child.stdout.take().context("piped")?, child.stderr.take().context("piped")?);
    let reading = tokio::spawn(async move {
        let (mut output, mut errors) = (String::new(), String::new());
        out.read_to_string(&mut output).await?;
        err.read_to_string(&mut errors).await?;
        std::io::Result::Ok((output, errors))
    });
    let mut most = 0;
    while child.try_wait()?.is_none() {
        most = most.max(Usage::of(id).peak);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (output, errors) = reading.await??;
    let listed: Json = serde_json::from_str(&output).with_context(|| errors.clone())?;
    assert_eq!(listed["total"], LETTERS);
    // A line after ten thousand at the latest; on a slow machine earlier, and so at other numbers.
    let told = errors.lines().filter_map(|line| {
        line.strip_prefix("looked at ")?.strip_suffix(" dead letters")?.parse::<usize>().ok()
    });
    let told: Vec<usize> = [0].into_iter().chain(told).chain([LETTERS]).collect();
    assert!(told.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] - pair[0] <= 10_000), "{told:?}");
    println!("at most {} kB", most >> 10);
    assert!((1..(BODY * LETTERS / 2) as u64).contains(&most), "{most} bytes");
    assert_untouched(&world)
}
