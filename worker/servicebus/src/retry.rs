//! Trying again over failures that pass. The one loop that waits between tries.

use shared::retry::{Again, Ladder};
use tokio::time::sleep;

/// Does something until it works, fails for good, or the ladder ends; returns the last failure then.
pub async fn retry<T, E, F>(
    ladder: Ladder,
    mut again: impl FnMut(&E) -> Again,
    mut work: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut waits = ladder.waits(rand::random);
    loop {
        let error = match work().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        // A wait that somebody asked for uses up a try as well.
        let Some(wait) = waits.next() else { return Err(error) };
        match again(&error) {
            Again::Never => return Err(error),
            Again::Later => sleep(wait).await,
            Again::After(wait) => sleep(wait).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    const LADDER: Ladder = Ladder::fixed(Duration::from_secs(1), Duration::from_secs(4)).with_tries(4);

    /// Fails with each of these in turn, and then works. Returns how it ended, and what the waits came to in seconds.
    async fn tried(failures: &[Again]) -> (Result<usize, Again>, u64) {
        let (begun, mut failures) = (Instant::now(), failures.iter());
        let mut tries = 0;
        let ended = retry(
            LADDER,
            |failure: &Again| *failure,
            || {
                tries += 1;
                std::future::ready(failures.next().map_or(Ok(tries), |failure| Err(*failure)))
            },
        );
        let ended = ended.await;
        (ended, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again_until_it_works_or_the_ladder_ends() {
        assert_eq!(tried(&[]).await, (Ok(1), 0));
        let (ended, waited) = tried(&[Again::Later; 3]).await;
        assert_eq!(ended, Ok(4));
        assert!(waited <= 7, "{waited} s");
        assert_eq!(tried(&[Again::Later; 4]).await.0, Err(Again::Later));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_for_good_ends_it_and_a_wait_that_is_asked_for_is_kept() {
        assert_eq!(tried(&[Again::Never]).await, (Err(Again::Never), 0));
        assert_eq!(tried(&[Again::After(Duration::from_secs(9))]).await, (Ok(2), 9));
    }
}
