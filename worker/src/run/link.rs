//! Holds intake back while messages do not show which user is meant.
//!
//! A contact without a user needs nothing, and looks in a message just like a contact whose link is under another column
//! or missing from the image. So nothing is taken before what waits was looked at; while that or what has come proves
//! that something is wrong, messages stay in the queue, and further looks find out when one shows a user; and while
//! no user was seen among many, somebody is warned. Once one was seen, all of this is a test of a bool.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use servicebus::{Peeked, Queue, clock};
use shared::{
    change::Change,
    engine::Intake,
    ids::SequenceNumber,
    link_watch::{LinkWatch, WARN_AFTER, WARN_AT_START, Why},
    outcome::Outcome,
    plan::{Planner, RowGrounds, SkipReason},
    reason::{DeadLetter, DeadLetterReason, chain},
    retry::Ladder,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::policy::PipelineOptions;
use crate::{
    preview::judge::{BodyReader, Contents, changes, judge},
    settings::LinkUnseen,
    telemetry::{Observer, health::HealthFault, labels::Warning},
};

/// Most messages in one page of a look.
const PAGE: u32 = 100;
/// Most pages of one look.
const PAGES: u32 = 5;
/// Longest time of one look. At the start messages wait for it, so the worker then goes on without.
const LOOK: Duration = Duration::from_secs(5);

const WRONG_COLUMN: &str = "set mapping.link_column to the column that holds the object id of the user, and restart the \
                            worker; contactsync check --message FILE tries it; if it is right, set mapping.link_unseen \
                            = \"warn\"; messages stay in the queue";
const WRONG_IMAGE: &str = "add the column to the image of the step in Dataverse; the worker goes on by itself with the \
                           first message that shows it; if it is there, set mapping.link_unseen = \"warn\"; messages \
                           stay in the queue";
const UNSEEN: &str = "see that mapping.link_column is right and that the image of the step holds it, by contactsync \
                      check --message FILE or check --online; nothing if no contact with a user has changed yet";

/// Some messages that wait, or why they cannot be looked at.
pub(super) type Page = Result<Vec<Peeked>, String>;

/// Whether messages may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intakes {
    /// Not before what waits at the start was looked at.
    Starting,
    Open,
    Held,
}

/// Looks at what waits and what comes, and says whether messages may be taken.
pub(super) struct LinkGate<Q: ?Sized> {
    queue: Arc<Q>,
    observer: Arc<Observer>,
    watch: LinkWatch,
    unseen: LinkUnseen,
    waits: Ladder,
    intake: Intakes,
    /// The look under way.
    page: Option<BoxFuture<'static, Page>>,
    /// Where it goes on.
    next: SequenceNumber,
    pages: u32,
    until: Instant,
    /// Looks in a row that showed nothing new.
    idle: u32,
    /// At how many changes the warning is told anew.
    retold: u64,
}

impl<Q: Queue + ?Sized> LinkGate<Q> {
    /// Begins with a look at what waits.
    pub(super) fn start(queue: Arc<Q>, policy: &PipelineOptions, observer: Arc<Observer>) -> Self {
        let mut gate = Self {
            queue,
            observer,
            watch: LinkWatch::new(&policy.planner.link_column),
            unseen: policy.link_unseen,
            waits: policy.looks,
            intake: Intakes::Starting,
            page: None,
            next: SequenceNumber(0),
            pages: 0,
            until: Instant::now() + LOOK,
            idle: 0,
            retold: 0,
        };
        if policy.planner.shows_link() {
            gate.turn_page(Duration::ZERO);
        } else {
            gate.intake = Intakes::Open;
        }
        gate
    }

    /// Whether messages may be taken.
    pub(super) fn is_open(&self) -> bool {
        self.intake == Intakes::Open
    }

    /// Gives up a look that is under way. One that nobody waits for any more would keep its place in the queue for a
    /// connection, and so keep the connection from being closed.
    pub(super) fn give_up(&mut self) {
        self.page = None;
    }

    /// Waits for the next page of a look; for ever while none is under way. Safe to cancel.
    pub(super) async fn looked(&mut self) -> Page {
        let Some(page) = &mut self.page else { return std::future::pending().await };
        let page = page.await;
        self.page = None;
        page
    }

    /// Takes a page in, and turns to the next one while there is need.
    pub(super) fn page(&mut self, page: Page, read: BodyReader, planner: &Planner) {
        self.pages += 1;
        let peeked = page.unwrap_or_else(|why| {
            tracing::info!(
                cause = why,
                "what waits in the queue cannot be looked at before it is taken, so that a link to users that is wrong shows \
                 later"
            );
            Vec::new()
        });
        for Peeked { message, .. } in &peeked {
            let watch = &mut self.watch;
            let mut note = |contents: &Contents| watch.look(changes(contents), planner, message.sequence);
            judge(read, message, planner, RowGrounds::default(), clock::now(), &mut note);
            self.next = self.next.max(SequenceNumber(message.sequence.0.saturating_add(1)));
        }
        if !peeked.is_empty() && !self.watch.seen() && self.pages < PAGES {
            return self.turn_page(Duration::ZERO);
        }
        self.idle = if peeked.is_empty() { self.idle.saturating_add(1) } else { 0 };
        self.review(WARN_AT_START, planner);
        if self.intake == Intakes::Held {
            self.look_again();
        }
    }

    /// Takes in what a message that has come says.
    pub(super) fn look(&mut self, changes: &[Change], planner: &Planner, sequence: SequenceNumber) {
        if self.watch.seen() || !planner.shows_link() {
            return;
        }
        self.watch.look(changes, planner, sequence);
        let held = self.intake == Intakes::Held;
        self.review(WARN_AFTER, planner);
        if !held && self.intake == Intakes::Held {
            self.look_again();
        }
    }

    /// What becomes of a message that has come, as far as its link has a say in it.
    pub(super) fn admit(&self, intake: Intake, arrival: SequenceNumber) -> Intake {
        if self.intake == Intakes::Held {
            return Intake::Settle(Outcome::Released);
        }
        let passed_over = Intake::Settle(Outcome::Unchanged(SkipReason::LinkNotInImage));
        let lacks = || !self.watch.seen() && self.watch.why().is_some_and(Why::is_about_images);
        let hold = self.unseen == LinkUnseen::Hold;
        if hold && intake == passed_over && (self.watch.doubts(arrival) || lacks()) {
            return Intake::dead(self.doubtful());
        }
        intake
    }

    /// Whether an image without the link is known to mean that there is none, in a message with this number.
    pub(super) fn shows_link(&self, planner: &Planner, arrival: SequenceNumber) -> bool {
        !planner.shows_link() || (self.watch.seen() && !self.watch.doubts(arrival))
    }

    fn doubtful(&self) -> DeadLetter {
        let column = &self.watch.report().column;
        DeadLetter::new(
            DeadLetterReason::UserLinkUnknown,
            &format!(
                "the message is from before the images held {column}, so it cannot be told whether the contact has a \
                 user; if it has one, bring the user up to date by hand or by another change of the contact"
            ),
        )
    }

    /// Acts on what is known now.
    fn review(&mut self, warn_after: u64, planner: &Planner) {
        if self.watch.seen() {
            self.end();
            return;
        }
        let why = self.watch.why();
        match why {
            // A row tells what images do not; of a wrong column it tells nothing.
            Some(why) if self.unseen == LinkUnseen::Hold && !(planner.read_back && why.is_about_images()) => {
                self.hold(why);
            }
            _ if self.intake == Intakes::Held => {
                self.observer.health.link(None);
                self.intake = Intakes::Open;
                tracing::info!("the images show the link column now; messages are taken again");
            }
            _ => self.intake = Intakes::Open,
        }
        let unseen = self.watch.counts().without_user();
        // Told anew whenever the figures have doubled.
        if (why.is_some() || unseen >= warn_after) && unseen >= self.retold {
            self.warn(why);
            self.retold = (unseen * 2).max(1);
        }
    }

    fn hold(&mut self, why: Why) {
        let text = self.watch.report().told(Some(why));
        if self.intake != Intakes::Held {
            tracing::error!(
                cause = text,
                "no messages are taken, because they do not show which user is meant; they stay in the queue"
            );
            self.intake = Intakes::Held;
            self.watch.hold();
        }
        let remedy = if why.is_about_images() { WRONG_IMAGE } else { WRONG_COLUMN };
        self.observer
            .health
            .link(Some(HealthFault { text: format!("no messages are taken: {text}"), remedy }));
    }

    fn warn(&mut self, why: Option<Why>) {
        let text = if self.intake == Intakes::Held {
            "no message has shown a contact with a user; the check link says more".to_owned()
        } else {
            let text = self.watch.report().told(why);
            tracing::warn!(cause = text, "no contact with a user was seen");
            text
        };
        self.observer.health.warn(Warning::LinkUnseen, Some(HealthFault { text, remedy: UNSEEN }));
    }

    /// The link was seen.
    fn end(&mut self) {
        if self.intake == Intakes::Held {
            tracing::info!("a message shows a contact with a user; messages are taken again");
        }
        self.intake = Intakes::Open;
        self.page = None;
        self.observer.health.link(None);
        self.observer.health.warn(Warning::LinkUnseen, None);
    }

    /// Looks on, after a wait that grows while nothing new comes.
    fn look_again(&mut self) {
        let wait = self.waits.ceiling(self.idle.max(1));
        self.pages = 0;
        self.until = Instant::now() + wait + LOOK;
        self.observer.health.tries.set("link", clock::now().checked_add(wait).ok());
        self.turn_page(wait);
    }

    fn turn_page(&mut self, wait: Duration) {
        let (queue, next, until) = (Arc::clone(&self.queue), self.next, self.until);
        self.page = Some(Box::pin(async move {
            sleep(wait).await;
            match timeout_at(until, queue.peek(next, PAGE)).await {
                Ok(peeked) => peeked.map_err(|error: servicebus::Error| chain(&error)),
                Err(_) => Err(format!("no answer within {LOOK:?}")),
            }
        }));
    }
}
