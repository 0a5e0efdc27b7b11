//! One line for each outcome, and not more lines than somebody can read.

use anyhow::Result;

use super::{PATIENCE, QUICK, change, contact, user, world};

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_above_a_rate_are_left_out_and_counted_but_never_dead_letters() -> Result<()> {
    const USERS: u32 = 200;
    let world = world(USERS.into()).await?;
    // Three are of users who do not exist.
    let changes: Vec<_> = (1..=USERS).chain(901..=903).map(|number| change(number.into(), 1)).collect();
    world.post_changes(&changes).await?;
    let worker = world.start_worker(&world.layered(&[QUICK])?)?;
    world.drained(PATIENCE).await?;
    let logged = |log: &str| log.matches("\"message applied\"").count() as u64;
    let left_out = |log: &str| -> u64 {
        let lines = log.lines().filter(|line| line.contains("lines about outcomes were left out"));
        let values = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        values.filter_map(|value| value["lines"].as_u64()).sum()
    };
    world
        .until(PATIENCE, "what was left out is told", |_| {
            let log = worker.log()?;
            Ok((logged(&log) + left_out(&log) == u64::from(USERS), log))
        })
        .await?;
    let log = worker.stop().await?;
    assert_eq!(log.matches("\"message dead_lettered\"").count(), 3, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_about_an_outcome_can_be_read_alone_and_queried() -> Result<()> {
    let world = world(1).await?;
    world.post_changes(&[change(1, 1)]).await?;
    let worker = world.start_worker(&world.layered(&[QUICK])?)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    let lines: Vec<serde_json::Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = lines.iter().find(|line| line["message"] == "message applied").expect("a line");
    assert_eq!(line["outcome"], "applied");
    for field in ["message.sequence", "delivery.count"] {
        assert!(line[field].is_u64(), "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_tells_every_write_with_names_of_properties_and_no_values() -> Result<()> {
    let world = world(2).await?;
    world.post_changes(&[change(1, 1), change(2, 2), change(2, 2)]).await?;
    let settings = world.layered(&[QUICK, "[telemetry]\naudit = true\nlog_level = \"error\"\n"])?;
    let worker = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    let log = worker.stop().await?;
    let lines: Vec<serde_json::Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let written: Vec<_> = lines.iter().filter(|line| line["target"] == "contactsync::audit").collect();
    for number in [1, 2] {
        let line = written.iter().find(|line| line["user.id"] == *user(number).to_string()).expect("a line");
        assert_eq!(line["contact.id"], *contact(number).to_string(), "{line}");
        assert_eq!(line["properties"], "givenName", "{line}");
        assert!(line["graph.request_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        assert!(line["change.at"].is_string(), "{line}");
    }
    assert!(!log.contains("Ada"), "a value is in the log: {log}");
    Ok(())
}
