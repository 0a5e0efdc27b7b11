//! One session of Service Bus, whose lock is the lease: one link has it, and its state outlives the links.

use std::time::Duration;

use shared::monotonic_time::MonotonicTime;

const LOCK: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Session {
    /// The link that has it, and until when if it is not renewed.
    held: Option<(u64, MonotonicTime)>,
    pub(super) state: Option<Vec<u8>>,
    /// Whether a link that has lost it is told all the same that it was renewed. No service may do that.
    renews_for_anybody: bool,
}

impl Session {
    pub(super) fn new(renews_for_anybody: bool) -> Self {
        Self { held: None, state: None, renews_for_anybody }
    }

    pub(super) fn accept(&mut self, link: u64, now: MonotonicTime) -> bool {
        let free = self.held.is_none_or(|(_, until)| until <= now);
        if free {
            self.held = Some((link, now + LOCK));
        }
        free
    }

    pub(super) fn is_held_by(&self, link: u64, now: MonotonicTime) -> bool {
        self.held.is_some_and(|(holder, until)| holder == link && now < until)
    }

    pub(super) fn renew(&mut self, link: u64, now: MonotonicTime) -> bool {
        if self.is_held_by(link, now) {
            self.held = Some((link, now + LOCK));
            return true;
        }
        self.renews_for_anybody
    }

    pub(super) fn close(&mut self, link: u64) {
        self.held.take_if(|(holder, _)| *holder == link);
    }

    /// The lock is lost early, as when the service moves the queue, and nobody is told.
    pub(super) fn free(&mut self) {
        self.held = None;
    }
}
