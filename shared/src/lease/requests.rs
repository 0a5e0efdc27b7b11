//! The link to the session, and the one request that is under way.

use crate::lease::clocks::Clocks;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Accept,
    Read,
    Write,
    /// Write the record of somebody who leaves.
    Goodbye,
    Renew,
    Close,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Absent,
    Up,
    /// Still open, and wanted for nothing any more.
    Abandoned,
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    link: Link,
    /// The request, and when it was handed out, which is before it was sent.
    under_way: Option<(What, Clocks)>,
    last_accept: Option<Clocks>,
}

impl Requests {
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn is_linked(&self) -> bool {
        self.link == Link::Up
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.link == Link::Abandoned
    }

    pub(super) fn last_accept(&self) -> Option<Clocks> {
        self.last_accept
    }

    pub(super) fn send(&mut self, what: What, now: Clocks) {
        self.under_way = Some((what, now));
        if what == What::Accept {
            self.last_accept = Some(now);
        }
    }

    /// The request of one of these kinds ended; nothing if none is under way, because the link ended before.
    pub(super) fn ended(&mut self, kinds: &[What]) -> Option<(What, Clocks)> {
        self.under_way.take_if(|(what, _)| kinds.contains(what))
    }

    pub(super) fn granted(&mut self) {
        self.link = Link::Up;
    }

    pub(super) fn abandon_link(&mut self) {
        if self.link == Link::Up {
            self.link = Link::Abandoned;
        }
    }

    /// Whether it was up. An attach goes on, because it is by a link of its own.
    pub(super) fn link_ended(&mut self) -> bool {
        self.under_way = self.under_way.filter(|(what, _)| *what == What::Accept);
        std::mem::take(&mut self.link) == Link::Up
    }

    /// Whether there is neither a link nor the prospect of one.
    pub(super) fn is_idle(&self) -> bool {
        self.link == Link::Absent && self.under_way.is_none()
    }
}
