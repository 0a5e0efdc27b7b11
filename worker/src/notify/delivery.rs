//! One message on its way through one channel: tries, time-outs, and when to give up.

use std::time::Duration;

use servicebus::{clock, retry::retry};
use shared::retry::Ladder;
use tokio::time::timeout;

use super::{channel::Channel, failure::NotifyFailure, message::NotifyMessage};

/// Longest time for one try.
const LONGEST_TRY: Duration = Duration::from_secs(10);
/// Three tries. What outlasts them is told later, as it is then.
const TRIES: Ladder =
    Ladder::fixed(Duration::from_secs(1), Duration::from_secs(10)).with_tries(3).with_equal_jitter();

/// Sends it, with further tries where they may help. Tells what the channel answered.
pub(super) async fn deliver(channel: &Channel, message: &NotifyMessage) -> Result<String, NotifyFailure> {
    retry(TRIES, NotifyFailure::again, || try_once(channel, message)).await
}

/// Tries once.
pub(crate) async fn try_once(channel: &Channel, message: &NotifyMessage) -> Result<String, NotifyFailure> {
    let tried = timeout(LONGEST_TRY, channel.send(message, clock::now())).await;
    tried
        .unwrap_or_else(|_| Err(NotifyFailure::soon(format!("no answer within {} s", LONGEST_TRY.as_secs()))))
}
