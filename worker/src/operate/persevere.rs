//! Asking Graph for as long as it makes sense, for commands that read many users and hold no message meanwhile.

use std::time::Duration;

use servicebus::retry::retry;
use shared::{
    reason::chain,
    retry::{Again, Ladder},
    target::TargetName,
};

use crate::graph::Error;

/// Waits before Graph is asked again. A `Retry-After` counts instead.
const AGAIN: Ladder =
    Ladder::fixed(Duration::from_secs(1), Duration::from_mins(1)).with_tries(10).with_equal_jitter();

/// Asks until there is an answer, or one that will not change. The name of the directory is told where there are several.
pub(super) async fn persevere<T, F>(
    directory: Option<&TargetName>,
    ask: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let again = |error: &Error| {
        // Who is denied what nobody else asks for is denied it again.
        let again = if error.is_about_the_user() { Again::Never } else { error.class().into() };
        if again != Again::Never {
            let directory = directory.map(tracing::field::display);
            tracing::warn!(directory, error = chain(error), "graph is asked again later");
        }
        again
    };
    retry(AGAIN, again, ask).await
}
