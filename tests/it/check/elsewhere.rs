//! Where messages go unseen: told by `check --online`, `status` and `dead-letters list`.

use std::time::Duration;

use anyhow::{Context, Result};
use emulator::{
    broker::EntityOptions,
    sas::{Claims, Rule},
};
use serde_json::Value;
use tests::world::World;

use super::{check, contactsync, text, world};

const DEAD: &str = "leaky forwards its dead letters to failed, so that none of them stays here";
const LOOK: &str = "look in failed, where they are ordinary messages; take the forwarding away, or dead-letters and replay \
                    cannot reach them";
const DELETED: &str = "leaky is deleted with everything in it when nobody has used it for 24h";
const VANISH: &str = "messages vanish without a trace after 2h";

/// A world with a queue that leaks in every way.
async fn leaky() -> Result<World> {
    let world = world().await?;
    let leaky = EntityOptions {
        forward_dead_letters_to: Some("failed".to_owned()),
        auto_delete_on_idle: Some(Duration::from_hours(24)),
        default_ttl: Some(Duration::from_hours(2)),
        ..EntityOptions::default()
    };
    world.bus.broker(|broker, now| {
        broker.add_queue("failed", EntityOptions::default(), now)?;
        broker.add_queue("leaky", leaky, now)
    })?;
    Ok(world)
}

/// Runs a command with settings for a queue.
async fn run(world: &World, layers: &[&str], arguments: &[&str]) -> Result<String> {
    let settings = world.layered(layers)?;
    let settings = settings.to_str().context("a path of text")?;
    let output = contactsync(world.folder(), &[arguments, &["--config", settings]].concat(), &[]).await?;
    anyhow::ensure!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    Ok(text(&output.stdout).to_owned())
}

const STATUS: [&str; 3] = ["status", "--worker", "http://127.0.0.1:1/"];
const LIST: [&str; 2] = ["dead-letters", "list"];
const LEAKY: &str = r#"service_bus.queue = "leaky""#;

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_leaks_is_told_wherever_somebody_looks() -> Result<()> {
    let world = leaky().await?;
    let checked = check(&world, &[LEAKY], &[], &[]).await?;
    let probes = checked.probes("queue");
    let expected = [
        ("warning", DEAD, LOOK),
        (
            "warning",
            DELETED,
            "set auto-delete on idle to never: a worker that is stopped for so long would lose every message",
        ),
        ("warning", VANISH, "switch dead-lettering on expiration on"),
    ];
    assert_eq!(probes, expected);
    for command in [&STATUS[..], &LIST] {
        let told = run(&world, &[LEAKY], command).await?;
        for what in [DEAD, DELETED, VANISH] {
            assert!(told.contains(&format!("warning: {what}; ")), "{what}\n{told}");
        }
        let told: Value =
            serde_json::from_str(&run(&world, &[LEAKY], &[command, &["--json"]].concat()).await?)?;
        assert_eq!(
            (&told["warnings"][0]["what"], &told["warnings"][0]["remedy"]),
            (&DEAD.into(), &LOOK.into())
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_queue_and_one_that_may_not_be_seen_are_not_warned_about() -> Result<()> {
    let world = leaky().await?;
    for command in [&STATUS[..], &LIST] {
        assert!(!run(&world, &[], command).await?.contains("warning"));
    }
    let rule = Rule {
        name: "worker".into(),
        key: "k".into(),
        claims: Claims { manage: false, ..Claims::ALL },
        entity: None,
    };
    world.bus.set_rules(vec![rule.clone()]);
    let layer = format!("service_bus.connection_string = \"{}\"", world.bus.connection_string_for(&rule));
    for command in [&STATUS[..], &LIST] {
        assert!(!run(&world, &[LEAKY, &layer], command).await?.contains("warning"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_string_for_another_queue_is_told_with_both_names() -> Result<()> {
    let world = world().await?;
    let string = format!("{};EntityPath=orders", world.bus.connection_string().trim_end_matches(';'));
    let layer = format!("service_bus.connection_string = \"{string}\"");
    let what = "the connection string is for orders (its EntityPath), and messages are taken from contacts";
    for command in [&STATUS[..], &LIST] {
        let told = run(&world, &[&layer], command).await?;
        assert!(told.contains(&format!("warning: {what}; if orders is meant, name it")), "{told}");
    }
    let offline = run(&world, &[&layer], &["check"]).await?;
    assert!(offline.contains(what), "{offline}");
    let online = check(&world, &[&layer], &[], &[]).await?;
    let found =
        online.told["findings"].as_array().into_iter().flatten().any(|finding| finding["what"] == what);
    assert!(found, "{:#}", online.told);
    Ok(())
}
