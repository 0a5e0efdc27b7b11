//! The large run of `cargo migration`, in small.

use anyhow::Result;
use tests::migration::{Measure, migration};

#[tokio::test(flavor = "multi_thread")]
async fn two_directories_are_as_the_changes_left_them_whatever_happens_and_the_comparison_tells_so()
-> Result<()> {
    let outcome = migration(Measure::SMALL).await?;
    assert!(outcome.faults.is_empty(), "{outcome:#?}");
    Ok(())
}
