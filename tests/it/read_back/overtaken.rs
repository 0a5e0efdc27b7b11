//! Messages whose values are old by the time at which they are tried again.

use anyhow::Result;
use emulator::dataverse::Options;
use tests::{PATIENCE, quick::user};

use super::RowWorld;
use crate::replay::{Dead, bury, contactsync};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_put_back_is_applied_as_the_row_is_now() -> Result<()> {
    for (reads, name) in [(true, "Ada"), (false, "Old")] {
        let place = RowWorld::start(Options::default(), 1).await?;
        place.save(1, Some(user(1)), "Ada")?;
        bury(&place.world, &[Dead::new("one", place.linked(1, user(1)).body(), "GraphRefused")])?;
        let settings = place.settings(&[&format!("dataverse.read_back = {reads}")])?;
        let told = contactsync(&settings, "replay --dry-run").await?.expect(0);
        assert_eq!(told.out.contains("read row"), reads, "{}", told.out);
        let worker = place.world.start_worker(&settings)?;
        contactsync(&settings, "replay --all").await?.expect(0);
        place.world.drained(PATIENCE).await?;
        worker.stop().await?;
        place.named(1, name);
        place.no_letters()?;
    }
    Ok(())
}
