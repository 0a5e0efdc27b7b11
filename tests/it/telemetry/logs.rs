//! One line for each outcome, and not more lines than somebody can read.

use anyhow::Result;

use super::{PATIENCE, QUICK, change, world};

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_above_a_rate_are_left_out_and_counted_but_never_dead_letters() -> Result<()> {
    let world = world(20).await?;
    // Twenty of users who exist, three of users who do not.
    let changes: Vec<_> = (1..=20).chain(101..=103).map(|number| change(number, 1)).collect();
    world.post_changes(&changes).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK, "telemetry.log_outcomes = 0"])?)?;
    world.drained(PATIENCE).await?;
    worker
        .page_until("/metrics", |page| page.text.contains("\ncontactsync_log_lines_left_out_total 20\n"))
        .await?;
    let told = |log: &str| -> u64 {
        let lines = log.lines().filter(|line| line.contains("lines about outcomes were left out"));
        let values = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        values.filter_map(|value| value["lines"].as_u64()).sum()
    };
    world
        .until(PATIENCE, "what was left out is told", |_| {
            let log = worker.log()?;
            Ok((told(&log) == 20, log))
        })
        .await?;
    let log = worker.stop().await?;
    assert_eq!(log.matches("\"message applied\"").count(), 0, "{log}");
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
        assert!(line[field].is_string(), "{line}");
    }
    Ok(())
}
