//! A run against a queue in memory that hands out from the front, loses locks and refuses copies.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use proptest::prelude::*;
use servicebus::{
    Delivery, Error, LinkState, Message, MessagingSystem, Outgoing, Peek, Peeked, PeekedState, Queue,
    RefusalKind, RenewError, Settle, SettleError, Settlement,
};
use shared::{
    class::Class,
    ids::{LockToken, SequenceNumber},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use super::{
    Event, Members, Pacing, ReplayAction, ReplayOptions, ReplaySource, Run, SelectiveReceiver, Summary,
};
use crate::settings::check::{EntityUse, QueueRight};

/// Dead letters, what was sent, and what goes wrong.
#[derive(Default)]
struct State {
    dead: BTreeSet<i64>,
    locks: HashMap<LockToken, i64>,
    sent: Vec<Outgoing>,
    credit: u32,
    /// Dead letters whose first completion comes too late.
    late: HashSet<i64>,
    /// Dead letters whose copy is refused.
    refused: HashSet<i64>,
    /// Dead letters that were completed before a copy of them was there.
    lost: Vec<i64>,
}

impl State {
    fn is_sent(&self, sequence: i64) -> bool {
        self.sent.iter().any(|copy| number(copy) == Some(sequence))
    }
}

fn number(copy: &Outgoing) -> Option<i64> {
    match copy.properties.get("contactsync-replayed-sequence") {
        Some(servicebus::ApplicationValue::I64(number)) => Some(*number),
        _ => None,
    }
}

#[derive(Default)]
struct Fake(Mutex<State>, Notify);

impl Fake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Settling(Arc<Fake>, bool);

#[async_trait]
impl Settle for Settling {
    async fn settle(&self, lock: LockToken, settlement: Settlement) -> Result<(), SettleError> {
        let mut state = self.0.state();
        let sequence = state.locks.remove(&lock).ok_or(SettleError::LockLost)?;
        self.0.1.notify_one();
        if settlement != Settlement::Remove {
            return Ok(());
        }
        if state.late.remove(&sequence) {
            return Err(SettleError::LockLost);
        }
        state.dead.remove(&sequence);
        if self.1 && !state.is_sent(sequence) {
            state.lost.push(sequence);
        }
        Ok(())
    }

    fn dropped(&self, lock: LockToken) {
        self.0.state().locks.remove(&lock);
        self.0.1.notify_one();
    }
}

/// One side of the fake: the dead letters, and where copies go.
struct Side(Arc<Fake>, ReplayAction);

#[async_trait]
impl Peek for Side {
    async fn peek(&self, from: SequenceNumber, max: u32) -> Result<Vec<Peeked>, Error> {
        let state = self.0.state();
        let page = state.dead.range(from.0..).take(usize::try_from(max).unwrap_or(0));
        let peeked = |number: &i64| Peeked {
            message: Message { sequence: SequenceNumber(*number), ..Message::default() },
            state: PeekedState::Active,
            scheduled_for: None,
        };
        Ok(page.map(peeked).collect())
    }
}

#[async_trait]
impl Queue for Side {
    async fn receive(&self) -> Result<Vec<Delivery>, Error> {
        loop {
            let mut deliveries = Vec::new();
            {
                let mut state = self.0.state();
                let held: HashSet<i64> = state.locks.values().copied().collect();
                let free: Vec<i64> =
                    state.dead.iter().copied().filter(|number| !held.contains(number)).collect();
                for sequence in free.into_iter().take(usize::try_from(state.credit).unwrap_or(0)) {
                    let lock = LockToken(Uuid::new_v4());
                    state.locks.insert(lock, sequence);
                    state.credit -= 1;
                    let message = Message { sequence: SequenceNumber(sequence), ..Message::default() };
                    let settler = Settling(Arc::clone(&self.0), self.1 == ReplayAction::PutBack);
                    deliveries.push(Delivery::new(message, lock, Instant::now(), Arc::new(settler)));
                }
            }
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            self.0.1.notified().await;
        }
    }

    fn set_credit(&self, messages: u32) {
        self.0.state().credit = messages;
        self.0.1.notify_one();
    }

    async fn renew(&self, locks: &[LockToken]) -> Vec<Result<(), RenewError>> {
        locks.iter().map(|_| Ok(())).collect()
    }

    fn lock_length(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn state(&self) -> watch::Receiver<LinkState> {
        watch::channel(LinkState::Ready).1
    }

    fn browser(&self) -> Arc<dyn Peek> {
        unreachable!("who is tested looks into the queue itself")
    }

    fn dead_letter_browser(&self) -> Arc<dyn Peek> {
        unreachable!("who is tested looks into the queue itself")
    }

    async fn attach_sender(&self) -> Result<(), Error> {
        Ok(())
    }

    fn system(&self) -> MessagingSystem {
        MessagingSystem::SERVICE_BUS
    }

    async fn send(&self, message: Outgoing) -> Result<(), Error> {
        let mut state = self.0.state();
        if number(&message).is_some_and(|number| state.refused.contains(&number)) {
            let class = Class::Permanent;
            return Err(Error::Refused {
                doing: "sending",
                condition: "size".into(),
                description: "".into(),
                kind: RefusalKind::Other,
                class,
            });
        }
        state.sent.push(message);
        Ok(())
    }

    async fn schedule(&self, _: Outgoing, _: Timestamp) -> Result<(), Error> {
        Err(Error::Closed)
    }

    async fn cancel_scheduled(&self, _: &[SequenceNumber]) -> Result<bool, Error> {
        unreachable!("nobody takes back what is scheduled")
    }

    async fn close(&self) {}
}

fn end(right: QueueRight) -> EntityUse {
    EntityUse { right, entity: "contacts".into(), place: "localhost:5672".into(), fixed_key: false }
}

/// What a run did: how it ended, and how often each event came.
fn run(
    fake: &Arc<Fake>,
    members: &[i64],
    window: usize,
    action: ReplayAction,
) -> (Summary, BTreeMap<&'static str, u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let side = || Arc::new(Side(Arc::clone(fake), action));
        let members: Members = members.iter().copied().map(SequenceNumber).collect();
        let options = ReplayOptions {
            replay: Uuid::from_u128(1),
            action,
            pacing: Pacing { rate: 100_000.0, canary: None, tolerance: None },
            patience: Duration::from_secs(20),
            members: members.len() as u64,
            looked_at: members.len() as u64,
            ends: (end(QueueRight::Listen), end(QueueRight::Send)),
        };
        let source = ReplaySource::Queue(Box::new(SelectiveReceiver::new(side(), members, window)));
        let (_stop, stopped) = watch::channel(false);
        let mut counts = BTreeMap::new();
        let tell = |event: Event| {
            let kind = match event {
                Event::Replayed(_) => "replayed",
                Event::Removed(_) => "removed",
                Event::Left { .. } => "left",
                _ => "other",
            };
            *counts.entry(kind).or_default() += 1;
        };
        let summary = Run::new(options, source, side(), None, tell).run(stopped).await;
        (summary, counts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_meant_is_put_back_once_and_everything_else_stays_unlocked(
        letters in prop::collection::btree_map(1_i64..500, (any::<bool>(), 0_u8..10), 0..60),
        remove in any::<bool>(),
    ) {
        let action = if remove { ReplayAction::Remove } else { ReplayAction::PutBack };
        let fake = Arc::new(Fake::default());
        let members: Vec<i64> = letters.iter().filter(|(_, (meant, _))| *meant).map(|(n, _)| *n).collect();
        let having = |fate: u8| members.iter().copied().filter(|n| letters[n].1 == fate).collect::<HashSet<_>>();
        let refused = if remove { HashSet::new() } else { having(1) };
        {
            let mut state = fake.state();
            state.dead = letters.keys().copied().collect();
            (state.late, state.refused) = (having(0), refused.clone());
        }
        let (summary, counts) = run(&fake, &members, 1_000, action);
        let state = fake.state();
        prop_assert_eq!(&summary.end, &super::ReplayEnd::Done);
        let stays: BTreeSet<i64> =
            letters.keys().copied().filter(|n| !members.contains(n) || refused.contains(n)).collect();
        prop_assert_eq!(&state.dead, &stays);
        prop_assert!(state.locks.is_empty(), "something is still locked");
        prop_assert!(state.lost.is_empty(), "completed before its copy was confirmed: {:?}", state.lost);
        let done = (members.len() - refused.len()) as u64;
        prop_assert_eq!(summary.progress.replayed, done);
        prop_assert_eq!(summary.left, refused.len() as u64);
        prop_assert_eq!(counts.get(if remove { "removed" } else { "replayed" }).copied().unwrap_or(0), done);
        // A completion that came too late does not lead to a second copy within the run.
        let copies: Vec<_> = state.sent.iter().filter_map(number).collect();
        prop_assert_eq!(copies.iter().collect::<HashSet<_>>().len(), copies.len());
        prop_assert_eq!(copies.len() as u64, if remove { 0 } else { done });
    }
}

#[test]
fn what_somebody_else_took_out_is_gone_and_not_waited_for() {
    let fake = Arc::new(Fake::default());
    fake.state().dead = [1, 3].into();
    let (summary, _) = run(&fake, &[1, 2, 3], 10, ReplayAction::PutBack);
    assert_eq!((summary.progress.replayed, summary.gone, summary.end), (2, 1, super::ReplayEnd::Done));
}

#[test]
fn a_set_that_lies_too_deep_is_told_and_what_was_passed_is_given_back() {
    let fake = Arc::new(Fake::default());
    fake.state().dead = (1..=20).collect();
    let (summary, _) = run(&fake, &[1, 20], 10, ReplayAction::PutBack);
    assert_eq!((summary.progress.replayed, summary.end), (1, super::ReplayEnd::Blocked { before: 11 }));
    assert!(fake.state().locks.is_empty());
}
