//! Whoever can tell how a queue is set up and how much is in it, by whatever interface.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::sleep;

use super::{Description, Error};

/// So many answers tell the clock of the service well enough.
const ACQUAINTED: usize = 3;
/// The time between two of them.
const BETWEEN: Duration = Duration::from_secs(1);

/// Tells of one queue or subscription.
#[async_trait]
pub trait Describe: Send + Sync + 'static {
    /// What is set and what is in it.
    async fn describe(&self) -> Result<Description, Error>;

    /// The failure that an answer without counts is.
    fn incomplete(&self) -> Error;
}

/// Asks until enough is known of the service's clock, a few times at most, so that a process need not work on guesses
/// for long. What goes wrong is left to those who need the answer.
pub async fn get_acquainted(queue: Arc<dyn Describe>) {
    for _ in 0..ACQUAINTED {
        drop(queue.describe().await);
        sleep(BETWEEN).await;
    }
}
