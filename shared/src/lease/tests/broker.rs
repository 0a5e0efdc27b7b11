//! One session of a service that gives it to one link at a time.

use serde_json::Value;

/// How long the lock of the session holds, in microseconds.
pub(super) const LOCK: u64 = 30_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) link: u64,
    pub(super) replica: usize,
    pub(super) until: u64,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    grant: Option<Grant>,
    pub(super) state: Option<Vec<u8>>,
    /// The defect that the protocol does not survive: a link that lost the session is told that it has renewed it.
    pub(super) renews_for_anybody: bool,
}

impl Broker {
    pub(super) fn holder(&self, now: u64) -> Option<Grant> {
        self.grant.filter(|grant| grant.until > now)
    }

    pub(super) fn accept(&mut self, link: u64, replica: usize, now: u64) -> bool {
        if self.holder(now).is_some() {
            return false;
        }
        self.grant = Some(Grant { link, replica, until: now + LOCK });
        true
    }

    pub(super) fn has(&self, link: u64, now: u64) -> bool {
        self.holder(now).is_some_and(|grant| grant.link == link)
    }

    pub(super) fn renew(&mut self, link: u64, now: u64) -> bool {
        if self.has(link, now) {
            self.grant = self.grant.map(|grant| Grant { until: now + LOCK, ..grant });
            return true;
        }
        self.renews_for_anybody
    }

    pub(super) fn close(&mut self, link: u64) {
        self.grant = self.grant.filter(|grant| grant.link != link);
    }

    pub(super) fn free(&mut self) {
        self.grant = None;
    }

    /// A record of a later version, of which only the term is understood.
    pub(super) fn replace_by_a_later_version(&mut self) {
        let Some(state) = &self.state else { return };
        let mut record: Value = serde_json::from_slice(state).expect("records are JSON");
        record["v"] = 2.into();
        record["clean"] = "perhaps".into();
        self.state = Some(record.to_string().into_bytes());
    }
}
