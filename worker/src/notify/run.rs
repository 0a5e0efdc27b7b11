//! The task that watches, asks the desks what is due, and lets it be sent.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use servicebus::clock;
use shared::{
    monotonic_time::MonotonicTime,
    notices::{DailyDigest, DeskEnd, DigestTeller, Due, NoticeDesk},
    reason::chain,
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    channel::Channel,
    composer::Composer,
    delivery::deliver,
    failure::{NotifyFailure, NotifyRetry},
    message::NotifyMessage,
    state_file::{self, Keeper},
    watch::Watch,
};
use crate::{
    settings::Notify,
    telemetry::{
        Observer,
        health::HealthFault,
        labels::Warning,
        notifications::{Notification, NotifyEnd},
    },
};

/// How often to look.
const TICK: Duration = Duration::from_millis(500);
/// Longest time to tell the last at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Where the time of a process begins, so that what was told before it has a place on it. More than repeats are apart.
const BEFORE: Duration = Duration::from_hours(24 * 8);
/// For so long one digest serves all channels.
const DIGEST_LASTS: Duration = Duration::from_mins(10);

/// What the task is made of.
pub(crate) struct NotifyOptions {
    /// The channels.
    pub(crate) channels: Vec<Channel>,
    /// The section of the settings.
    pub(crate) policy: Notify,
    /// Who finds the words.
    pub(crate) composer: Composer,
}

/// The task, for whoever ends it.
pub(crate) struct Notifying {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Notifying {
    /// Begins to watch these; nothing if there is no channel.
    pub(crate) fn start(options: NotifyOptions, observers: &[Arc<Observer>]) -> Option<Self> {
        let first = Arc::clone(observers.first().filter(|_| !options.channels.is_empty())?);
        let (stop, stopped) = oneshot::channel();
        let notifier = Notifier::new(options, observers, first);
        Some(Self { stop, task: tokio::spawn(notifier.run(stopped)) })
    }

    /// Lets it tell the last, which takes no longer than a few seconds.
    pub(crate) async fn finish(self) {
        // An error is a task that has ended by itself.
        self.stop.send(()).ok();
        if timeout(LAST_WORDS + state_file::LAST_WRITE + TICK, self.task).await.is_err() {
            tracing::warn!("not everything could be told before the end");
        }
    }
}

struct Post {
    channel: Arc<Channel>,
    desk: NoticeDesk,
    /// Why it could not be told something, as long as that is so.
    failing: Option<String>,
}

struct Notifier {
    posts: Vec<Post>,
    watches: Vec<Watch>,
    composer: Composer,
    /// Where counts and warnings of the process are kept.
    observer: Arc<Observer>,
    keeper: Option<Keeper>,
    started: Instant,
    sending: JoinSet<(usize, Result<String, NotifyFailure>)>,
    /// The latest digest, and since when the next one counts.
    digest: (Option<(MonotonicTime, Arc<NotifyMessage>)>, Timestamp),
}

impl Notifier {
    fn new(options: NotifyOptions, observers: &[Arc<Observer>], observer: Arc<Observer>) -> Self {
        let NotifyOptions { channels, policy, composer } = options;
        let (wall, now) = (clock::now(), MonotonicTime::after_start(BEFORE));
        let past = policy.state_file.as_deref().map(state_file::read).transpose().unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "what was told before is not known; what is still so is told again");
            None
        });
        let past = past.unwrap_or_default();
        let posts = channels.into_iter().map(|channel| {
            let wanted = channel.wanted();
            let digest = policy.digest.filter(|_| wanted.digest).map(|at| DailyDigest::new(at, wall));
            let desk = NoticeDesk::new(policy.timing, wanted.filter.clone(), digest);
            let desk = match past.get(channel.name()) {
                Some(past) => desk.with_past(past, now, wall),
                None => desk,
            };
            Post { channel: Arc::new(channel), desk, failing: None }
        });
        let watch = |observer: &Arc<Observer>| {
            Watch::new(Arc::clone(observer), &policy.timing, policy.oldest_message, rand::random())
        };
        Self {
            posts: posts.collect(),
            watches: observers.iter().map(watch).collect(),
            composer,
            observer,
            keeper: policy.state_file.and_then(Keeper::start),
            started: Instant::now(),
            sending: JoinSet::new(),
            digest: (None, wall),
        }
    }

    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stop => break,
                _ = ticks.tick() => self.turn(),
                Some(ended) = self.sending.join_next() => self.ended(ended),
            }
        }
        self.look();
        self.say_last();
        let sent = timeout(LAST_WORDS, async {
            while let Some(ended) = self.sending.join_next().await {
                self.ended(ended);
            }
        });
        if sent.await.is_err() {
            tracing::warn!("a channel did not take the last notice in time");
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.finish().await;
        }
    }

    fn now(&self) -> MonotonicTime {
        MonotonicTime::after_start(BEFORE + self.started.elapsed())
    }

    fn turn(&mut self) {
        self.look();
        let (now, wall, teller) = (self.now(), clock::now(), self.digest_teller());
        for place in 0..self.posts.len() {
            self.posts[place].desk.digest_is_told_by(teller, now, wall);
            match self.posts[place].desk.next(now, wall) {
                Some(Due::Notice(notice)) => {
                    let message = Arc::new(self.composer.notice(&notice, wall));
                    self.send(place, message);
                }
                Some(Due::Digest) => {
                    let message = self.digest(now, wall);
                    self.send(place, message);
                }
                None => {}
            }
            let folded = self.posts[place].desk.take_folded();
            self.count(place, NotifyEnd::Folded, folded);
        }
    }

    /// Tells every desk what is the case.
    fn look(&mut self) {
        let (now, wall) = (self.now(), clock::now());
        for watch in &mut self.watches {
            let (view, seen) = watch.look(now, wall);
            for post in &mut self.posts {
                post.desk.observe(watch.target(), view, &seen, now, wall);
            }
        }
    }

    fn say_last(&mut self) {
        let (now, wall) = (self.now(), clock::now());
        for place in 0..self.posts.len() {
            if let Some(notice) = self.posts[place].desk.last(now) {
                let message = Arc::new(self.composer.notice(&notice, wall));
                self.send(place, message);
            }
        }
    }

    fn send(&mut self, place: usize, message: Arc<NotifyMessage>) {
        let channel = Arc::clone(&self.posts[place].channel);
        self.sending.spawn(async move {
            let sent = AssertUnwindSafe(deliver(&channel, &message)).catch_unwind().await;
            let failed = |_| Err(NotifyFailure::never("contactsync failed; the log tells where"));
            (place, sent.unwrap_or_else(failed))
        });
    }

    /// Each target has its own writer. Whoever writes one of them tells of that, once it is known of all.
    fn digest_teller(&self) -> DigestTeller {
        let all: Vec<_> = self.watches.iter().map(Watch::digest_teller).collect();
        if all.contains(&DigestTeller::Unknown) {
            DigestTeller::Unknown
        } else if all.contains(&DigestTeller::Us) {
            DigestTeller::Us
        } else {
            DigestTeller::Others
        }
    }

    fn digest(&mut self, now: MonotonicTime, wall: Timestamp) -> Arc<NotifyMessage> {
        if let Some((at, message)) = &self.digest.0
            && now - *at < DIGEST_LASTS
        {
            return Arc::clone(message);
        }
        let lines = self.watches.iter_mut().flat_map(|watch| watch.day(wall)).collect();
        let message = Arc::new(self.composer.digest(lines, self.digest.1, wall));
        self.digest = (Some((now, Arc::clone(&message))), wall);
        message
    }

    fn ended(&mut self, ended: Result<(usize, Result<String, NotifyFailure>), tokio::task::JoinError>) {
        // Nobody ends these tasks, and panics stop inside of them.
        let Ok((place, result)) = ended else { return };
        let (now, wall) = (self.now(), clock::now());
        let end = match &result {
            Ok(_) => DeskEnd::Sent,
            Err(NotifyFailure { retry: NotifyRetry::Gone, .. }) => DeskEnd::Gone,
            Err(_) => DeskEnd::Failed,
        };
        self.count(place, if end == DeskEnd::Sent { NotifyEnd::Sent } else { NotifyEnd::Failed }, 1);
        let post = &mut self.posts[place];
        post.desk.ended(end, now, wall);
        let name = post.channel.name();
        match result {
            Ok(answer) => {
                tracing::debug!(channel = name, answer, "somebody was told");
                if post.failing.take().is_some() {
                    tracing::info!(channel = name, "the channel takes notices again");
                }
            }
            Err(failure) => {
                let gone = if post.desk.is_gone() { "; it is not asked again before a restart" } else { "" };
                tracing::warn!(channel = name, why = failure.what, "nobody could be told{gone}");
                post.failing = Some(failure.what);
            }
        }
        self.warn(now, wall);
        self.save(now, wall);
    }

    /// Shows which channels fail, where other channels tell it too.
    fn warn(&self, now: MonotonicTime, wall: Timestamp) {
        let failing = self.posts.iter().filter_map(|post| {
            Some(format!(
                "nobody can be told by the channel {}: {}",
                post.channel.name(),
                post.failing.as_ref()?
            ))
        });
        let failing: Vec<_> = failing.collect();
        let fault = (!failing.is_empty()).then(|| HealthFault {
            text: failing.join("; "),
            remedy: "see to the entry of [[notify.channel]] and to its receiver; contactsync notify test tries it",
        });
        self.observer.health.warn(Warning::Notify, fault);
        let rest = self.posts.iter().filter_map(|post| post.desk.rests_for(now)).min();
        let again = rest.and_then(|rest| wall.checked_add(rest).ok());
        self.observer.health.tries.set(Warning::Notify.as_str(), again);
    }

    fn count(&self, place: usize, end: NotifyEnd, number: u64) {
        let kind = self.posts[place].channel.kind();
        self.observer.metrics.notifications.of(Notification { kind, end }).add(number);
    }

    /// Keeps what was told, if that is wanted.
    fn save(&self, now: MonotonicTime, wall: Timestamp) {
        if let Some(keeper) = &self.keeper {
            let past =
                self.posts.iter().map(|post| (post.channel.name().to_owned(), post.desk.past(now, wall)));
            keeper.keep(past.collect());
        }
    }
}
