//! Letting through and taking out. Both can be killed at any moment and begun again: what is let through is sent before it is
//! taken back, under an id that is the same for every run, and what is sent twice changes nothing the second time.

use std::{ops::ControlFlow, time::Duration};

use servicebus::{Error, Message, Peek, Queue, Walk, clock};
use shared::{ids::SequenceNumber, mass_change::Stream, plan::Planner, reason::chain};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::HeldFilter;
use crate::{
    envelope::{self, HeldAside, HeldCensus},
    operate::replay::confirm,
};

/// Messages that are taken back in one request.
const TOGETHER: usize = 100;
/// Longest time between sending a copy and taking back what it stands for.
const SOON: Duration = Duration::from_secs(1);

/// What was decided about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decided {
    /// Messages that were decided about.
    pub(crate) messages: u64,
    /// Those among them that were not scheduled any more when they were to be taken back: somebody else has decided, or
    /// they have come due, and are held aside again.
    pub(crate) gone: u64,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecisionEnd {
    /// All that is meant was decided about.
    Done,
    /// It was told to stop.
    Stopped,
    /// The queue cannot be used.
    Failed(Box<str>),
}

/// Shows every message that is held aside and meant, in order.
pub(crate) async fn each_held(
    queue: &dyn Peek,
    filter: &HeldFilter,
    planner: &Planner,
    mut each: impl FnMut(&Message, &HeldAside) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut failed = None;
    let walk = servicebus::browse(queue, SequenceNumber(0), |peeked| {
        let Some(held) = HeldCensus::held(&peeked) else { return ControlFlow::Continue(()) };
        if filter.matches(&peeked.message, &held, planner)
            && let Err(error) = each(&peeked.message, &held)
        {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .await?;
    failed.map_or(Ok(walk.seen), Err)
}

/// Takes scheduled messages back. Returns how many of them were not there.
pub(crate) async fn take_back(queue: &dyn Queue, messages: &[SequenceNumber]) -> Result<u64, Error> {
    let mut gone = 0;
    for together in messages.chunks(TOGETHER) {
        if queue.cancel_scheduled(together).await? {
            continue;
        }
        // One that is not there lets the whole request fail.
        for one in together {
            gone += u64::from(!queue.cancel_scheduled(&[*one]).await?);
        }
    }
    Ok(gone)
}

/// A run that lets messages through.
pub(crate) struct Approval<'a> {
    /// Where they are held, and are sent again.
    pub(crate) queue: &'a dyn Queue,
    /// Which of them.
    pub(crate) filter: &'a HeldFilter,
    /// Tells whom messages are about.
    pub(crate) planner: &'a Planner,
    /// Names the run.
    pub(crate) run: Uuid,
    /// Messages a second.
    pub(crate) rate: f64,
}

impl Approval<'_> {
    /// Lets them through until there are no more, something fails or `stop` turns true. `tell` hears how many are done.
    pub(crate) async fn carry_out(
        &self,
        mut stop: watch::Receiver<bool>,
        mut tell: impl FnMut(u64),
    ) -> (Decided, DecisionEnd) {
        let mut open = Open { since: Instant::now(), numbers: Vec::new() };
        let mut decided = Decided::default();
        let sent = self.send_all(&mut open, &mut decided, &mut stop, &mut tell).await;
        // Whatever ends it: what was sent need not be held any more.
        let ended = sent.and(self.take_back(&mut open, &mut decided).await.map(|()| DecisionEnd::Done));
        let ended = ended.unwrap_or_else(|error| DecisionEnd::Failed(chain(&error).into()));
        let stopped = ended == DecisionEnd::Done && *stop.borrow();
        (decided, if stopped { DecisionEnd::Stopped } else { ended })
    }

    async fn send_all(
        &self,
        open: &mut Open,
        decided: &mut Decided,
        stop: &mut watch::Receiver<bool>,
        tell: &mut impl FnMut(u64),
    ) -> Result<(), Error> {
        let (mut walk, mut next) = (Walk::default(), Instant::now());
        loop {
            let page = walk.page(self.queue).await?;
            if page.is_empty() {
                return Ok(());
            }
            for peeked in page {
                let held = HeldCensus::held(&peeked)
                    .filter(|held| self.filter.matches(&peeked.message, held, self.planner));
                let Some(held) = held else { continue };
                if !turn(next, stop).await {
                    return Ok(());
                }
                next = next.max(Instant::now() - SOON) + Duration::from_secs_f64(1.0 / self.rate);
                self.send(&peeked.message, &held).await?;
                if open.numbers.is_empty() {
                    open.since = Instant::now();
                }
                open.numbers.push(peeked.message.sequence);
                decided.messages += 1;
                if open.numbers.len() >= TOGETHER || open.since.elapsed() >= SOON {
                    self.take_back(open, decided).await?;
                    tell(decided.messages);
                }
            }
        }
    }

    async fn send(&self, message: &Message, held: &HeldAside) -> Result<(), Error> {
        // Who lets single contacts through has not said that the rest is well.
        let streams: Vec<Stream> =
            if self.filter.is_of_whole_streams() { self.filter.streams(held) } else { Vec::new() };
        let copy = envelope::approved(message, self.run, (held.author, &streams), clock::now());
        let what = "its body cannot be read";
        let copy = copy.ok_or(Error::Protocol { doing: "copying a message", what: what.into() })?;
        confirm(self.queue, copy).await
    }

    async fn take_back(&self, open: &mut Open, decided: &mut Decided) -> Result<(), Error> {
        decided.gone += take_back(self.queue, &open.numbers).await?;
        open.numbers.clear();
        Ok(())
    }
}

/// Messages that were sent and are still scheduled.
struct Open {
    since: Instant,
    numbers: Vec<SequenceNumber>,
}

/// Waits until it is time; `false` if it is to stop.
async fn turn(at: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => false,
        () = sleep_until(at) => true,
    }
}
