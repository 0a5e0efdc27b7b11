//! Renewal of locks. When which lock is renewed is decided by [`Locks`](shared::engine::renewal::Locks).

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use servicebus::{Queue, RenewError};
use shared::{engine::renewal::Renewal, ids::LockToken, reason::chain};

/// Renews these locks in one request. Each has an answer, also when the request panics.
pub(crate) async fn renew<Q: Queue + ?Sized>(
    queue: Arc<Q>,
    locks: Vec<LockToken>,
) -> Vec<(LockToken, Renewal)> {
    let answers = AssertUnwindSafe(queue.renew(&locks)).catch_unwind().await.unwrap_or_default();
    let answers = answers.into_iter().map(|answer| match answer {
        Ok(()) => Renewal::Renewed,
        Err(RenewError::LockLost) => Renewal::Lost,
        Err(RenewError::Failed(error)) => {
            tracing::debug!(error = %chain(&error), "a lock could not be renewed yet");
            Renewal::Failed
        }
    });
    locks.into_iter().zip(answers.chain(std::iter::repeat(Renewal::Failed))).collect()
}
