//! Labels of what is told to people.

use super::labels::{Labels, labels};

labels! {
    /// By what somebody is told.
    ChannelKind {
        /// E-mail by a server.
        Smtp = "smtp",
        /// Microsoft Teams.
        Teams = "teams",
        /// Slack.
        Slack = "slack",
        /// A signed event.
        Webhook = "webhook",
        /// E-mail by Graph.
        Graph = "graph",
    }
}

labels! {
    /// What became of something that was to be told.
    NotifyEnd {
        /// It was sent.
        Sent = "sent",
        /// It was not, after all tries; it is tried again later.
        Failed = "failed",
        /// It was not sent of its own: the channel had enough, and got it with others.
        Folded = "folded",
    }
}

/// A notification, by channel and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// By what.
    pub(crate) kind: ChannelKind,
    /// How it ended.
    pub(crate) end: NotifyEnd,
}

impl Labels for Notification {
    fn all() -> Vec<Self> {
        let of = |kind| NotifyEnd::all().into_iter().map(move |end| Self { kind, end });
        ChannelKind::all().into_iter().flat_map(of).collect()
    }

    fn index(self) -> usize {
        self.kind.index() * NotifyEnd::all().len() + self.end.index()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.kind.as_str(), self.end.as_str()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_stands_at_its_index() {
        for (place, member) in Notification::all().into_iter().enumerate() {
            assert_eq!(member.index(), place, "{member:?}");
        }
    }
}
