//! Labels of metrics: closed lists, so that the number of series is known and no text of a message becomes one.

use shared::{
    outcome::Outcome,
    plan::{ReadCause, SkipReason},
    property::Property,
    reason::{DeadLetter, DeadLetterReason},
};

/// A closed list of values for one or several labels.
pub(crate) trait Labels: Copy + 'static {
    /// All members, in the order of [`Labels::index`].
    fn all() -> Vec<Self>;

    /// Its place among all.
    fn index(self) -> usize;

    /// The value of each label; an empty one is left out.
    fn values(self) -> Vec<&'static str>;
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum $name {
            $($(#[$member_doc])* $member),*
        }

        impl $name {
            /// The value of the label.
            #[must_use]
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $text),*
                }
            }
        }

        impl Labels for $name {
            fn all() -> Vec<Self> {
                vec![$(Self::$member),*]
            }

            fn index(self) -> usize {
                self as usize
            }

            fn values(self) -> Vec<&'static str> {
                vec![self.as_str()]
            }
        }
    };
}

pub(super) use labels;

labels! {
    /// Why no messages are taken.
    PauseCause {
        /// No token can be had: secret, certificate, federation or tenant.
        Token = "token",
        /// Graph refuses tokens, or denies what is asked.
        Permission = "permission",
        /// Something on the way answers in Graph's place.
        Way = "way",
        /// Graph refuses everybody alike: tenant, mapping or guard do not fit.
        Setup = "setup",
        /// Messages do not show which user is meant: a wrong link column, or images without it.
        Link = "link",
        /// Anything else that a person has to mend.
        Other = "other",
    }
}

labels! {
    /// What does not keep the worker from working, and must be seen to all the same.
    Warning {
        /// No message has shown a contact with a user yet.
        LinkUnseen = "link_unseen",
        /// The clock of this machine differs from that of the services.
        ClockSkew = "clock_skew",
        /// Graph refuses a property for every user who was tried.
        PropertyRefused = "property_refused",
        /// The journal cannot be written.
        Journal = "journal",
        /// Users differ from the rows of their contacts, and are not repaired.
        Drift = "drift",
        /// Contacts cannot be held against users.
        DriftUnread = "drift_unread",
        /// Messages are held aside, because one author changes too many users alike.
        MassChange = "mass_change",
        /// What was held aside before this replica wrote is not known.
        MassChangeUnknown = "mass_change_unknown",
        /// Rows of contacts cannot be read in Dataverse, and their messages wait.
        RowsUnread = "rows_unread",
        /// No row can be used, because a column that is needed may hide its values.
        RowsUnfit = "rows_unfit",
        /// A client secret or certificate ends soon, or has ended.
        CredentialEnds = "credential_ends",
        /// Somebody who is to be told of faults cannot be told.
        Notify = "notify",
    }
}

labels! {
    /// What a credential is for.
    CredentialUse {
        /// Graph, to write users.
        Graph = "graph",
        /// Service Bus.
        ServiceBus = "service_bus",
        /// Dataverse.
        Dataverse = "dataverse",
        /// Mail to those who are told.
        Notify = "notify",
    }
}

labels! {
    /// What the worker cannot work without, or asks.
    Dependency {
        /// The queue: its link, and what is received and settled.
        ServiceBus = "service_bus",
        /// Users: whatever Graph did as it was asked.
        Graph = "graph",
        /// Tokens for Graph.
        Token = "token",
        /// Contacts, where they are read.
        Dataverse = "dataverse",
    }
}

labels! {
    /// Whose clock ours is compared with.
    Service {
        /// Graph and Entra.
        Graph = "graph",
        /// Service Bus.
        ServiceBus = "service_bus",
    }
}

labels! {
    /// What this replica is among others.
    ReplicaRole {
        /// There are no others.
        Alone = "alone",
        /// Another one writes, or may.
        Standby = "standby",
        /// It was granted the lease, and what another may still have under way ends.
        Entering = "entering",
        /// It writes.
        Writer = "writer",
        /// It wrote, and is not sure any more that it may.
        Doubting = "doubting",
    }
}

impl ReplicaRole {
    /// Whether what is the same for all replicas is told by this one.
    #[must_use]
    pub(crate) const fn is_first(self) -> bool {
        matches!(self, Self::Alone | Self::Entering | Self::Writer)
    }
}

labels! {
    /// How a renewal of the lease ended.
    LeaseRenewal {
        /// The lease holds on.
        Renewed = "ok",
        /// It is gone.
        Refused = "refused",
        /// Nobody knows.
        Unanswered = "unanswered",
    }
}

labels! {
    /// Why the lease changed hands.
    LeaseChange {
        /// It was granted.
        Granted = "granted",
        /// It was given back, because the worker stops.
        Left = "left",
        /// No renewal was answered in time.
        LostTime = "lost_time",
        /// The link ended, and another replica has it.
        LostLink = "lost_link",
        /// Service Bus refused to renew it.
        LostLock = "lost_lock",
        /// It was given back, because this replica does not reach Graph and another one may.
        Yielded = "yielded",
    }
}

labels! {
    /// What telemetry was lost.
    Signal {
        /// Spans.
        Traces = "traces",
        /// Exports of metrics.
        Metrics = "metrics",
    }
}

labels! {
    /// Where messages of the queue are.
    QueueState {
        /// Waiting, or under lock.
        Active = "active",
        /// Taken out.
        DeadLetter = "dead_letter",
        /// Visible later.
        Scheduled = "scheduled",
        /// On the way to another entity.
        Transfer = "transfer",
    }
}

labels! {
    /// Whether something worked.
    Worked {
        /// It did.
        Yes = "",
        /// It did not.
        No = "failed",
    }
}

labels! {
    /// Methods of calls to Graph.
    Method {
        /// A look at a user.
        Get = "GET",
        /// A write.
        Patch = "PATCH",
    }
}

/// Answers of Graph that are told apart, and what keeps an answer away.
const ANSWERS: [&str; 21] = [
    "200",
    "201",
    "204",
    "304",
    "400",
    "401",
    "403",
    "404",
    "405",
    "409",
    "412",
    "413",
    "423",
    "429",
    "500",
    "502",
    "503",
    "504",
    "other",
    "timeout",
    "connection",
];

/// A property that a write carried. Those that no list names share one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrittenProperty(usize);

impl From<&Property> for WrittenProperty {
    fn from(property: &Property) -> Self {
        let known = Property::names().position(|name| name == property.name());
        Self(known.unwrap_or_else(|| Property::names().count()))
    }
}

impl Labels for WrittenProperty {
    fn all() -> Vec<Self> {
        (0..=Property::names().count()).map(Self).collect()
    }

    fn index(self) -> usize {
        self.0
    }

    fn values(self) -> Vec<&'static str> {
        vec![Property::names().nth(self.0).unwrap_or("other")]
    }
}

/// How a call to Graph ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallOutcome(usize);

impl CallOutcome {
    /// No answer in time; whether Graph did what it was asked is not known.
    pub(crate) const TIMEOUT: Self = Self(ANSWERS.len() - 2);
    /// No connection, or it broke.
    pub(crate) const CONNECTION: Self = Self(ANSWERS.len() - 1);
    const OTHER: Self = Self(ANSWERS.len() - 3);

    /// An answer with this status. Statuses that Graph is not known to use share one value.
    #[must_use]
    pub(crate) fn status(status: u16) -> Self {
        let mut digits = [b'0'; 3];
        for (digit, divisor) in digits.iter_mut().zip([100, 10, 1]) {
            *digit += u8::try_from(status / divisor % 10).unwrap_or(0);
        }
        ANSWERS.iter().position(|known| known.as_bytes() == digits).map_or(Self::OTHER, Self)
    }

    /// The status, or what kept the answer away.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        ANSWERS[self.0]
    }

    /// The status, if there was an answer.
    #[must_use]
    pub(crate) fn status_text(self) -> &'static str {
        if self.0 < Self::TIMEOUT.0 { ANSWERS[self.0] } else { "" }
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub(crate) fn error_type(self) -> &'static str {
        let text = ANSWERS[self.0];
        if text.starts_with('2') || text.starts_with('3') { "" } else { text }
    }
}

impl Labels for CallOutcome {
    fn all() -> Vec<Self> {
        (0..ANSWERS.len()).map(Self).collect()
    }

    fn index(self) -> usize {
        self.0
    }

    fn values(self) -> Vec<&'static str> {
        vec![ANSWERS[self.0]]
    }
}

/// A call to Graph, by method and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: Method,
    /// The answer.
    pub answer: CallOutcome,
}

impl Labels for Call {
    fn all() -> Vec<Self> {
        let of = |method| CallOutcome::all().into_iter().map(move |answer| Self { method, answer });
        Method::all().into_iter().flat_map(of).collect()
    }

    fn index(self) -> usize {
        self.method.index() * ANSWERS.len() + self.answer.index()
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.method.as_str(), self.answer.status_text(), self.answer.error_type()]
    }
}

impl Labels for ReadCause {
    fn all() -> Vec<Self> {
        Self::ALL.into()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.as_str()]
    }
}

/// The reason of a dead letter, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorType(pub Option<DeadLetterReason>);

impl Labels for ErrorType {
    fn all() -> Vec<Self> {
        let reasons = DeadLetterReason::ALL.into_iter().map(|reason| Self(Some(reason)));
        std::iter::once(Self(None)).chain(reasons).collect()
    }

    fn index(self) -> usize {
        self.0.map_or(0, |reason| reason as usize + 1)
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.0.map_or("", DeadLetterReason::as_str)]
    }
}

/// How a message ended: the outcome, and the reason where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The outcome.
    pub outcome: &'static str,
    /// The reason; empty where there is one only.
    pub reason: &'static str,
    index: usize,
}

impl Ended {
    /// The settlement did not reach the queue; the message comes again.
    pub(crate) const UNSETTLED: Self = Self { outcome: "unsettled", reason: "", index: 4 };
}

impl From<&Outcome> for Ended {
    fn from(outcome: &Outcome) -> Self {
        let (index, reason) = match outcome {
            Outcome::Applied => (0, ""),
            Outcome::Stale => (1, ""),
            Outcome::Returned(_) => (2, ""),
            Outcome::Released => (3, ""),
            Outcome::Copied => (5, ""),
            Outcome::HeldAside(_) => (6, ""),
            Outcome::Unchanged(why) => (7 + *why as usize, why.as_str()),
            Outcome::DeadLettered(DeadLetter { reason, .. }) => {
                (7 + SkipReason::ALL.len() + *reason as usize, reason.as_str())
            }
        };
        Self { outcome: outcome.as_str(), reason, index }
    }
}

impl Labels for Ended {
    fn all() -> Vec<Self> {
        let letter = |reason| DeadLetter::new(reason, "");
        let returned = Outcome::Returned(letter(DeadLetterReason::InternalError));
        let held = Outcome::HeldAside(Box::default());
        let plain = [Outcome::Applied, Outcome::Stale, returned, Outcome::Released, Outcome::Copied, held];
        let unchanged = SkipReason::ALL.into_iter().map(Outcome::Unchanged);
        let dead = DeadLetterReason::ALL.into_iter().map(|reason| Outcome::DeadLettered(letter(reason)));
        let mut all: Vec<_> =
            plain.into_iter().chain(unchanged).chain(dead).map(|outcome| Self::from(&outcome)).collect();
        all.insert(Self::UNSETTLED.index, Self::UNSETTLED);
        all
    }

    fn index(self) -> usize {
        self.index
    }

    fn values(self) -> Vec<&'static str> {
        vec![self.outcome, self.reason]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<L: Labels + std::fmt::Debug>() {
        for (place, member) in L::all().into_iter().enumerate() {
            assert_eq!(member.index(), place, "{member:?}");
        }
    }

    #[test]
    fn every_member_stands_at_its_index() {
        check::<PauseCause>();
        check::<Warning>();
        check::<CredentialUse>();
        check::<Service>();
        check::<Signal>();
        check::<QueueState>();
        check::<Worked>();
        check::<Method>();
        check::<CallOutcome>();
        check::<Call>();
        check::<ErrorType>();
        check::<ReadCause>();
        check::<Ended>();
        check::<Dependency>();
        check::<WrittenProperty>();
    }

    #[test]
    fn an_answer_is_told_by_its_status_and_an_unknown_one_is_other() {
        let told = |answer: CallOutcome| (answer.status_text(), answer.error_type());
        assert_eq!(told(CallOutcome::status(204)), ("204", ""));
        assert_eq!(told(CallOutcome::status(429)), ("429", "429"));
        assert_eq!(told(CallOutcome::status(418)), ("other", "other"));
        assert_eq!(told(CallOutcome::TIMEOUT), ("", "timeout"));
        assert_eq!(told(CallOutcome::CONNECTION), ("", "connection"));
    }
}
