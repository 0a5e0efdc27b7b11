//! A replica that is frozen while it writes: when it hears that the write was made, another one may be the writer.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::run::lease::tests::Chair;

/// How long nobody is sure.
const DOUBT: Duration = Duration::from_secs(5);

/// A Graph whose answers are heard when the lease has run out. Some time later the replica hears what has become of it.
struct Late {
    chair: Arc<Chair>,
    then: fn(&Chair),
    looks: AtomicUsize,
}

#[async_trait]
impl Directory for Late {
    fn distrust_looks_until(&self, _: Instant) {}

    async fn apply(&self, _: &UserWrite) -> Result<Success, graph::Error> {
        self.chair.run_out();
        let (chair, then) = (Arc::clone(&self.chair), self.then);
        tokio::spawn(async move {
            sleep(DOUBT).await;
            then(&chair);
        });
        Ok(Success { written: true, ..Success::default() })
    }

    async fn find(&self, _: &LinkQuery) -> Result<LinkAnswer, graph::Error> {
        unreachable!("every message names its user")
    }

    async fn verify(&self, _: &UserWrite) -> Result<Vec<Property>, graph::Error> {
        self.looks.fetch_add(1, Relaxed);
        Ok(Vec::new())
    }

    async fn probe(&self) -> Result<(), graph::Error> {
        Ok(())
    }
}

/// What becomes of the message, and how often the user is looked at.
async fn frozen(then: fn(&Chair)) -> (Vec<Settlement>, usize) {
    let (seat, chair) = Chair::writer();
    let late = Arc::new(Late { chair: Arc::new(chair), then, looks: AtomicUsize::new(0) });
    let (settled, _) = Run::default().through(&["200"], observer(), Arc::clone(&late), Some(seat)).await;
    (settled, late.looks.load(Relaxed))
}

#[tokio::test(start_paused = true)]
async fn what_another_replica_may_have_undone_is_given_back_and_not_completed() {
    assert_eq!(frozen(Chair::lose).await, (vec![Settlement::Release], 0));
}

#[tokio::test(start_paused = true)]
async fn it_is_completed_after_a_look_if_nobody_else_was_the_writer() {
    assert_eq!(frozen(Chair::resume).await, (vec![Settlement::Complete], 1));
}
