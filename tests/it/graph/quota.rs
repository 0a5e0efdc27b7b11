//! Two replicas share a quota that nobody tells them about. The long form, which also judges the time, is
//! `cargo run -p tests --bin quota`.

use std::time::Duration;

use anyhow::Result;
use tests::quota::{Load, run};

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_work_a_backlog_off_without_bumping_into_the_quota() -> Result<()> {
    // A faster clock than in the long form, so that the test is short; time is not judged here.
    let load =
        Load { changes: 2_000, users: 100, replicas: 2, scale: 10.0, latency: Duration::from_millis(200) };
    let figures = run(load).await?;
    assert!(figures.dead_letters.is_empty(), "{:?}\n{}", figures.dead_letters, figures.logs);
    assert_eq!((figures.lost, figures.wrong_users), (0, 0), "{figures}\n{}", figures.logs);
    // In so short a run, what was under way when the quota was first met counts for much.
    let under_way = 2 * 16;
    assert!(figures.throttled <= under_way + figures.calls / 50, "{figures}\n{}", figures.logs);
    Ok(())
}
