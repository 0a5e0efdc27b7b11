//! What the services have seen of the worker: each delivery and settlement of a message, and each write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use emulator::{
    broker::{self, Settled, Side},
    graph::Entry,
    journal::{Event, Journal, Mark},
};
use tokio::{task::JoinHandle, time::sleep};

use crate::world::{QUEUE, World};

/// How often new events are taken, of which the local Service Bus remembers the latest 65,536.
const OFTEN: Duration = Duration::from_millis(50);

/// What the broker has seen of a message.
#[derive(Clone, Debug, Default)]
pub struct SeenMessage {
    /// How often it was handed out.
    pub deliveries: usize,
    /// How it was settled, in order.
    pub settled: Vec<Settled>,
}

/// What the services have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Every message of the queue, by its number.
    pub messages: BTreeMap<i64, SeenMessage>,
    /// Messages that became dead letters because nobody can read them, so that they name nobody.
    pub nameless: BTreeSet<i64>,
    /// Every call that writes to a user, in order.
    pub writes: Vec<Entry>,
}

/// Takes events of the local Service Bus while they are remembered, for runs with more of them than that.
pub struct Recorder {
    journal: Journal,
    kept: Arc<Mutex<Kept>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    next: u64,
    forgotten: bool,
    seen: Seen,
}

impl Recorder {
    /// Begins with what is remembered now.
    #[must_use]
    pub fn start(world: &World) -> Self {
        let (journal, kept) = (world.bus.journal().clone(), Arc::<Mutex<Kept>>::default());
        let (of, into) = (journal.clone(), Arc::clone(&kept));
        let task = tokio::spawn(async move {
            loop {
                into.lock().unwrap_or_else(PoisonError::into_inner).take(&of);
                sleep(OFTEN).await;
            }
        });
        Self { journal, kept, task }
    }

    /// All that was seen. It is an error if something was forgotten before it was taken.
    pub fn end(self, world: &World) -> Result<Seen> {
        self.task.abort();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take(&self.journal);
        ensure!(!kept.forgotten, "the local Service Bus has forgotten events before they were taken");
        let calls = world.graph.journal();
        ensure!(calls.first().is_none_or(|first| first.number == 1), "the local Graph has forgotten calls");
        let mut seen = std::mem::take(&mut kept.seen);
        seen.writes = calls.into_iter().filter(Entry::is_write).collect();
        Ok(seen)
    }
}

impl Kept {
    fn take(&mut self, journal: &Journal) {
        // What happens between the two is taken next time. If as much was forgotten meanwhile, it shows as too few.
        let end = journal.mark().number();
        let events = journal.since(Mark::from_number(self.next));
        let wanted = end.saturating_sub(self.next);
        self.forgotten |= (events.len() as u64) < wanted;
        let events: Vec<_> = events.into_iter().take(usize::try_from(wanted).unwrap_or(usize::MAX)).collect();
        self.next = end;
        for event in events {
            if let Event::Broker(event) = event {
                self.seen.note(event);
            }
        }
    }
}

impl Seen {
    fn note(&mut self, event: broker::Event) {
        let ours = |place: &broker::Place| place.entity() == QUEUE && place.side() == Side::Main;
        match event {
            broker::Event::Delivered { place, sequence, .. } if ours(&place) => {
                self.messages.entry(sequence).or_default().deliveries += 1;
            }
            broker::Event::Settled { place, sequence, how } if ours(&place) => {
                self.messages.entry(sequence).or_default().settled.push(how);
            }
            broker::Event::DeadLettered { place, sequence, reason }
                if ours(&place) && &*reason == "BodyUndecodable" =>
            {
                self.nameless.insert(sequence);
            }
            _ => {}
        }
    }
}
