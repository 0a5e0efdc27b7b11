//! What is chosen comes back, and nothing else moves.

use std::time::Duration;

use anyhow::Result;
use tests::world::{DEAD_LETTERS, Options, QUEUE, World};
use tokio::time::Instant;

use super::{Dead, assert_untouched, bury, contactsync, ids, property};

const REASONS: [&str; 5] =
    ["UserNotFound", "ValueInvalid", "GraphRefused", "IdentityConflict", "InternalError"];

#[tokio::test(flavor = "multi_thread")]
async fn one_reason_of_five_comes_back_at_the_rate_asked_for_and_the_others_stay_in_order() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let letters: Vec<_> = (0..5_000).map(|n| Dead::new(format!("m-{n}"), "{}", REASONS[n % 5])).collect();
    bury(&world, &letters)?;
    let settings = world.settings("")?;
    let command = "replay --unguarded --json --reason GraphRefused --limit 300 --rate 100";
    let started = Instant::now();
    let done = contactsync(&settings, command).await?.expect(0);
    let took = started.elapsed();
    let chosen: Vec<_> = (0..300).map(|n| format!("m-{}", n * 5 + 2)).collect();
    let mut back = ids(&world, QUEUE)?;
    back.sort_by_key(|id| id[2..].parse::<u32>().unwrap_or(0));
    assert_eq!(back, chosen);
    let all = (0..5_000).map(|n| format!("m-{n}"));
    let stay: Vec<_> = all.filter(|id| !chosen.contains(id)).collect();
    assert_eq!(ids(&world, DEAD_LETTERS)?, stay);
    assert_untouched(&world)?;
    // Never faster; how much slower is the machine's affair. Counted from before the first one, which a busy machine can
    // hold up more than the others.
    let rate = 299.0 / took.as_secs_f64();
    assert!(rate <= 100.0, "{rate} a second");
    // And a single one that lies behind thousands of others.
    let deep = "replay --unguarded --where message-id=m-4999 --window 5000";
    contactsync(&settings, deep).await?.expect(0);
    assert_eq!(ids(&world, DEAD_LETTERS)?, stay[..stay.len() - 1]);
    assert_untouched(&world)?;
    let summary = done.summary();
    assert_eq!((summary["replayed"].as_u64(), summary["end"].as_str()), (Some(300), Some("done")));
    let audit = done.events("replayed");
    assert_eq!(audit.len(), 300);
    assert_eq!(
        (audit[0]["reason"].as_str(), audit[0]["completed"].as_bool()),
        (Some("GraphRefused"), Some(true))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_carries_its_past_and_not_its_failure() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let mut letter = Dead::new("m-1", "{}", "GraphRefused");
    letter.properties = vec![("contactsync-code", "Request_BadRequest"), ("who", "dataverse")];
    bury(&world, &[letter])?;
    let before = world.bus.contents(DEAD_LETTERS)?.remove(0);
    let settings = world.settings("")?;
    let done = contactsync(&settings, "replay --unguarded --json --code Request_BadRequest").await?.expect(0);
    let replayed = &done.events("replayed")[0];
    let back = world.bus.contents(QUEUE)?.remove(0);
    let of = |name| property(&back, name);
    assert_eq!(of("who").as_deref(), Some("dataverse"));
    for failure in ["DeadLetterReason", "DeadLetterErrorDescription", "contactsync-code"] {
        assert_eq!(of(failure), None, "{failure}");
    }
    assert_eq!(of("contactsync-replayed-reason").as_deref(), Some("GraphRefused"));
    assert_eq!(of("contactsync-replay-id").as_deref(), replayed["replay"].as_str());
    assert_eq!(of("contactsync-first-seen"), Some(before.enqueued.millis().to_string()));
    assert_eq!(back.message.message_id().as_deref(), replayed["messageId"].as_str());
    assert_ne!(back.message.message_id(), before.message.message_id());
    assert!(back.message.body.ends_with(b"\x02{}"), "{:?}", back.message.body);
    assert_eq!(back.message.properties.content_type(), Some("application/json"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_are_kept_for_as_long_as_a_slow_replay_takes() -> Result<()> {
    let world = World::start(Options { lock: Duration::from_secs(6), ..Options::default() }).await?;
    let letters: Vec<_> = (0..100).map(|n| Dead::new(format!("m-{n}"), "{}", REASONS[n % 5])).collect();
    bury(&world, &letters)?;
    let settings = world.settings("")?;
    let command = "replay --unguarded --json --reason InternalError --rate 2";
    let done = contactsync(&settings, command).await?.expect(0);
    assert_eq!(done.summary()["replayed"], 20);
    assert_eq!((ids(&world, QUEUE)?.len(), ids(&world, DEAD_LETTERS)?.len()), (20, 80));
    assert_untouched(&world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wanted_message_behind_too_many_others_is_told_and_nothing_is_moved() -> Result<()> {
    let world = World::start(Options::default()).await?;
    let reason = |n: usize| if n == 30 { "GraphRefused" } else { "UserNotFound" };
    let letters: Vec<_> = (0..40).map(|n| Dead::new(format!("m-{n}"), "{}", reason(n))).collect();
    bury(&world, &letters)?;
    let settings = world.settings("")?;
    let command = "replay --unguarded --json --reason GraphRefused --window 20";
    let done = contactsync(&settings, command).await?.expect(1);
    assert_eq!(done.summary()["end"], "blocked");
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 40);
    assert_untouched(&world)?;
    let wider = command.replace("20", "30");
    contactsync(&settings, &wider).await?.expect(0);
    assert_eq!(ids(&world, QUEUE)?, ["m-30"]);
    assert_eq!(ids(&world, DEAD_LETTERS)?.len(), 39);
    assert_untouched(&world)
}
