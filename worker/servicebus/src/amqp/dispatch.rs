//! What the task that owns the link does with commands: settlements of one kind go out together.

use fe2o3_amqp::link::delivery::DeliveryInfo;
use shared::ids::LockToken;
use tokio::sync::oneshot;

use super::{
    link::Link,
    receiver::Task,
    recovery::Failure,
    settler::{Command, Forgotten, Held, LinkOutcome, OnLink, Reply},
};
use crate::delivery::Delivery;

impl Task {
    /// Gives deliveries back untouched that nobody was handed.
    pub(super) async fn give_back(&mut self, deliveries: Vec<Delivery>) -> Result<(), Failure> {
        for delivery in deliveries {
            let lock = delivery.disarm();
            if let Some(held) = self.locks.remove(&lock)
                && let Some(link) = find(&mut self.link, &mut self.retired, held.epoch)
            {
                link.dispose(vec![held.info], LinkOutcome::Release).await?;
            }
        }
        Ok(())
    }

    /// Carries out commands; settlements of one kind go out together.
    pub(super) async fn serve(&mut self, commands: &mut Vec<Command>) -> Option<oneshot::Sender<()>> {
        let mut closing = None;
        let mut batch = Batch::default();
        for command in commands.drain(..) {
            match command {
                Command::Settle { lock, outcome, reply } => self.plan(lock, outcome, reply, &mut batch),
                Command::Renewed { lock, at } => {
                    if let Some(held) = self.locks.get_mut(&lock) {
                        held.since = at;
                    }
                }
                Command::Forget { lock, how } => self.forget(lock, how, &mut batch),
                Command::Close { reply } => closing = Some(reply),
            }
        }
        for group in batch.groups {
            let Some(link) = find(&mut self.link, &mut self.retired, group.epoch) else { continue };
            // A link that cannot take it fails for the pump too, which then deals with it.
            let done = link.dispose(group.infos, group.outcome).await.is_ok();
            for (lock, reply) in group.replies {
                if !done {
                    tracing::debug!(%lock, "a settlement goes by lock token because its link is gone");
                }
                reply.answer(if done { OnLink::Done } else { OnLink::Elsewhere });
            }
        }
        if !self.retired.is_empty() {
            self.sweep();
        }
        closing
    }

    fn plan(&mut self, lock: LockToken, outcome: LinkOutcome, reply: Reply, batch: &mut Batch) {
        let Some(held) = self.locks.remove(&lock) else {
            reply.answer(OnLink::Elsewhere);
            return;
        };
        let link_stands = find(&mut self.link, &mut self.retired, held.epoch).is_some();
        // Over the link nobody would say that the lock has lapsed; so where it may have, the service is asked.
        if link_stands && !self.may_have_lapsed(&held) {
            let group = batch.group(held.epoch, outcome);
            group.infos.push(held.info);
            group.replies.push((lock, reply));
            return;
        }
        reply.answer(OnLink::Elsewhere);
        if link_stands {
            // Kept until it is forgotten, so that both ends of the link are told then.
            self.locks.insert(lock, held);
        }
    }

    fn forget(&mut self, lock: LockToken, how: Forgotten, batch: &mut Batch) {
        let Some(held) = self.locks.remove(&lock) else { return };
        if how == Forgotten::Settled || self.may_have_lapsed(&held) {
            // For the service there is nothing left to settle; this only makes both ends of the link forget the
            // delivery. "Released" because it could do no harm even if that were not so.
            batch.group(held.epoch, LinkOutcome::Release).infos.push(held.info);
        } else if let Some(link) = find(&mut self.link, &mut self.retired, held.epoch) {
            // Left alone, so that the lock lapses. The link remembers the delivery for as long as it stands.
            link.unsettled = link.unsettled.saturating_sub(1);
        }
    }

    fn may_have_lapsed(&self, held: &Held) -> bool {
        held.since.elapsed() >= self.namespace.lock_length()
    }
}

/// The link of an epoch, if it stands.
pub(super) fn find<'a>(
    link: &'a mut Option<Link>,
    retired: &'a mut [Link],
    epoch: u64,
) -> Option<&'a mut Link> {
    link.iter_mut().chain(retired).find(|link| link.epoch == epoch)
}

/// Dispositions to be sent, by link and outcome.
#[derive(Default)]
struct Batch {
    groups: Vec<Group>,
}

struct Group {
    epoch: u64,
    outcome: LinkOutcome,
    infos: Vec<DeliveryInfo>,
    replies: Vec<(LockToken, Reply)>,
}

impl Batch {
    fn group(&mut self, epoch: u64, outcome: LinkOutcome) -> &mut Group {
        let at = self.groups.iter().position(|group| group.epoch == epoch && group.outcome == outcome);
        let at = at.unwrap_or_else(|| {
            self.groups.push(Group { epoch, outcome, infos: Vec::new(), replies: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }
}
