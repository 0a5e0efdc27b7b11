//! What a world has in addition where messages are those of contacts.

use std::collections::{BTreeMap, VecDeque};

use shared::{
    drift::{Candidate, Pairing, TableRow, UserTable},
    engine::{
        Failures, Intake,
        intake::{self, DecodedBody},
    },
    hash_key::HashKey,
    ids::{ContactId, LockToken, SequenceNumber, UserId},
    mapping::Mapping,
    monotonic_time::MonotonicTime,
    plan::{ChangeFilter, Planner, Requirement, RowGrounds},
    reconcile::{Current, ReadPolicy},
    version::RowVersion,
};

use super::{
    super::shape::TableKind,
    contacts::{Contacts, STATE, Step},
    ledger::Ledger,
};

/// The table, what is known of its messages, and the pass that is under way.
pub(in super::super) struct TableWorld {
    pub(super) contacts: Contacts,
    pub(super) step: Step,
    pub(super) planner: Planner,
    pub(in super::super) ledger: Ledger,
    /// When no row can be read.
    pub(super) away: (MonotonicTime, MonotonicTime),
    /// Of each lock under which a message was handed out: the message, and the place of its original.
    pub(in super::super) handed: BTreeMap<LockToken, (usize, SequenceNumber)>,
    /// When the last contact is changed.
    pub(super) last_change: MonotonicTime,
    /// From when on nothing is too young to be judged, and the last passes begin.
    pub(super) settled: MonotonicTime,
    /// Changes made so far, of contacts and of users by others.
    pub(super) changes: u64,
    pub(super) stage: Stage,
    /// Places of the queue whose messages the pass has posted, and of which it may not have heard yet.
    pub(super) open: Vec<(usize, ContactId)>,
    /// Changes that had been made when the pass began, and whether the queue was empty then.
    pub(super) began: (u64, bool),
    /// The newest row version that passes have read.
    pub(super) newest: Option<RowVersion>,
    /// The newest among those that had settled when they were read.
    pub(super) quiet: Option<RowVersion>,
    /// What the pass has posted.
    pub(super) posted: u64,
    /// Passes since nothing changes any more.
    pub(super) passes: u32,
    /// Whether the last pass has found nothing, and nothing has happened since it began.
    pub(super) done: bool,
}

/// How far the pass is.
pub(super) enum Stage {
    /// None is under way.
    Idle,
    /// Users are read, those before this one are.
    Users(usize, UserTable),
    /// Contacts are read, those up to this one are.
    Rows(Option<ContactId>, Box<Pairing>),
    /// Candidates are looked at, users first.
    Looks(Looks),
    /// All is posted, and not all is consumed.
    Posted,
}

/// Candidates that are looked at, a few at a time: once to tell what differs, and once more just before it is posted.
pub(super) struct Looks {
    pub(super) posting: bool,
    pub(super) left: VecDeque<Candidate>,
    /// Users that were read and whose rows were not; and the rows as they were then.
    pub(super) users: Vec<(Candidate, Current, Option<TableRow>)>,
    /// Candidates that differ.
    pub(super) writes: VecDeque<Candidate>,
}

impl TableWorld {
    pub(super) fn new(kind: TableKind) -> Self {
        let require =
            kind.requires.then(|| Requirement::parse(&format!("{STATE} = 0")).expect("a requirement"));
        let filter = ChangeFilter { require: require.into_iter().collect(), ..ChangeFilter::default() };
        Self {
            contacts: Contacts::default(),
            step: Step { numbered: kind.numbered, before: kind.before },
            planner: Planner { filter, read_back: kind.reads, ..Planner::new(Mapping::preset_default()) },
            ledger: Ledger::default(),
            away: (MonotonicTime::START, MonotonicTime::START),
            handed: BTreeMap::new(),
            last_change: MonotonicTime::START,
            settled: MonotonicTime::START,
            changes: 0,
            stage: Stage::Idle,
            open: Vec::new(),
            began: (0, false),
            newest: None,
            quiet: None,
            posted: 0,
            passes: 0,
            done: false,
        }
    }

    /// What a worker makes of a message.
    pub(super) fn intake(&self, posted: usize, grounds: RowGrounds<'_>) -> Intake {
        let change = self.ledger.posted(posted).change.clone();
        let read = DecodedBody::Changes(vec![change], Failures::default());
        intake::plan(read, &self.planner, grounds).unwrap_or_else(Intake::dead)
    }

    /// An empty table of users, to read them into.
    pub(super) fn users(&self, reading: &ReadPolicy, seed: u8) -> UserTable {
        UserTable::new(HashKey::new([seed; 32]), &self.planner.mapping, reading)
    }

    /// Contacts whose link counts, by their user.
    pub(super) fn links(&self, requires: bool) -> Vec<(ContactId, UserId)> {
        let linked = |contact: ContactId| {
            let user = if requires { self.contacts.link(contact) } else { self.contacts.any_link(contact) };
            user.map(|user| (contact, user))
        };
        self.contacts.ids().into_iter().filter_map(linked).collect()
    }
}
