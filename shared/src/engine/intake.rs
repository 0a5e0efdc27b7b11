//! decode → plan, for one body: what has to be written, or how the message can be settled at once.

use jiff::{SignedDuration, Timestamp};

use crate::{
    change::Change,
    decode::{self, DecodeProblem, Subject, Unread, Unreadable},
    engine::{Failures, Member},
    ids::{ContactId, OrganizationId, SequenceNumber, UserId},
    lww_register::Stamp,
    outcome::Outcome,
    patch::{PatchEntry, UserPatch, UserWrite},
    plan::{
        Judgement, LinkQuery, Plan, Planner, RowGrounds, RowId, SkipReason, WantedRow, is_logical_name,
        truncated, unsupported,
    },
    priority::Priority,
    reason::{DeadLetter, DeadLetterReason, chain},
    version::Version,
};

/// How far the clocks of Dataverse and Service Bus may differ.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// One planned write of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The user.
    pub user: UserId,
    /// The contact that changed.
    pub contact: ContactId,
    /// The organization whose contact it is, if the message tells.
    pub organization: Option<OrganizationId>,
    /// How new the change is, if the message tells.
    pub version: Option<Version>,
    /// When the row was read, if it is the row that is written. It may be newer than the message.
    pub read: Option<Timestamp>,
    /// What it asks for.
    pub patch: UserPatch,
    /// Its place in a message about several contacts.
    pub member: Option<Member>,
}

impl Planned {
    /// The place of the change among others. A message that does not tell when its change happened is placed by
    /// when it reached the queue.
    #[must_use]
    pub fn stamp(&self, enqueued: Timestamp, arrival: SequenceNumber) -> Stamp {
        let version = self.version.unwrap_or(Version::at(enqueued));
        let latest = self.known_by(enqueued).saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
        Stamp { version: version.cut(latest), arrival }
    }

    /// When it had happened for certain.
    fn known_by(&self, enqueued: Timestamp) -> Timestamp {
        self.read.map_or(enqueued, |read| read.max(enqueued))
    }

    /// Whether the change says that it happened later than its message can have reached the queue. Believed, it would
    /// keep everything out that happens until then.
    #[must_use]
    pub fn is_from_the_future(&self, enqueued: Timestamp) -> bool {
        self.version.is_some_and(|version| version.at.duration_since(self.known_by(enqueued)) > AHEAD)
    }

    /// As a write by itself, which is what it would be if no other change of the user were at hand.
    #[must_use]
    pub fn alone(&self, enqueued: Timestamp, arrival: SequenceNumber) -> UserWrite {
        let stamp = self.stamp(enqueued, arrival);
        let entry = |(property, value)| PatchEntry { property, value, stamp };
        UserWrite {
            user: self.user,
            entries: self.patch.clone().into_iter().map(entry).collect(),
            known: Vec::new(),
            urgency: Priority::default(),
            contacts: vec![self.contact],
        }
    }
}

/// What a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intake {
    /// These writes, never none; and the members of the message for which there is none because they cannot be
    /// planned. The message is done when all of both is told.
    Work(Vec<Planned>, Failures),
    /// Nothing that Graph has to hear of.
    Settle(Outcome),
    /// Graph has to be asked who is meant, by these questions, never none; with the answers the message is planned anew.
    LookUp(Vec<LinkQuery>),
    /// These rows have to be read, never none; with the answers the message is planned anew.
    Read(Vec<WantedRow>),
}

/// What a body reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodedBody {
    /// These changes of contacts, and what of the message could not be read as one.
    Changes(Vec<Change>, Failures),
    /// Nothing that could concern a user.
    Nothing(SkipReason),
}

impl Intake {
    /// Reads and plans a body. `marked` tells that the message carried the property of a sender that cut it.
    #[must_use]
    pub fn of(body: &[u8], content_type: Option<&str>, marked: bool, planner: &Planner) -> Self {
        let intake =
            changes(body, content_type, marked).and_then(|read| plan(read, planner, RowGrounds::default()));
        intake.unwrap_or_else(Self::dead)
    }

    /// A message that cannot be read or planned.
    #[must_use]
    pub fn dead(letter: DeadLetter) -> Self {
        Self::Settle(Outcome::DeadLettered(letter))
    }
}

/// Plans what was read.
pub fn plan(read: DecodedBody, planner: &Planner, reading: RowGrounds<'_>) -> Result<Intake, DeadLetter> {
    let (changes, failures) = match read {
        DecodedBody::Changes(changes, unread) => (changes, unread),
        DecodedBody::Nothing(why) => return Ok(Intake::Settle(Outcome::Unchanged(why))),
    };
    let mut gathered =
        Gathered { writes: Vec::with_capacity(changes.len()), failures, ..Gathered::default() };
    for change in &changes {
        gathered.add(change, planner.judge(change, reading))?;
    }
    gathered.intake()
}

/// What the changes of a message ask for together.
#[derive(Default)]
struct Gathered {
    writes: Vec<Planned>,
    failures: Failures,
    needless: Option<SkipReason>,
    queries: Vec<LinkQuery>,
    wanted: Vec<WantedRow>,
}

impl Gathered {
    fn add(&mut self, change: &Change, judged: Judgement) -> Result<(), DeadLetter> {
        let contact = change.contact;
        let member = change.origin.position.map(|position| Member { position, contact: Some(contact) });
        let (plan, version, read) = match judged {
            Judgement::ByMessage(plan) => (plan, change.version, None),
            Judgement::ByRow(plan, version, read) => (plan, Some(version), Some(read)),
            Judgement::Read(cause) => {
                self.wanted.push(WantedRow { row: RowId::of(change), cause });
                return Ok(());
            }
        };
        match (plan, member) {
            (Plan::Write { user, patch }, member) => {
                let organization = change.organization;
                let part = |patch| Planned { user, contact, organization, version, read, patch, member };
                self.writes.extend(patch.parted().map(part));
            }
            (Plan::Nothing(why), _) => self.needless = Some(why),
            (Plan::LookUp(asked), _) => {
                for query in asked {
                    if !self.queries.contains(&query) {
                        self.queries.push(query);
                    }
                }
            }
            // The others are written first; replaying the message once the contact is mended repeats them, which
            // is harmless.
            (Plan::Impossible(letter), Some(member)) => self.failures.push(member, letter),
            (Plan::Impossible(letter), None) => return Err(letter),
        }
        Ok(())
    }

    fn intake(self) -> Result<Intake, DeadLetter> {
        if !self.wanted.is_empty() {
            return Ok(Intake::Read(self.wanted));
        }
        if !self.queries.is_empty() {
            return Ok(Intake::LookUp(self.queries));
        }
        if !self.writes.is_empty() {
            return Ok(Intake::Work(self.writes, self.failures));
        }
        let needless = self.needless.unwrap_or(SkipReason::NothingMapped);
        self.failures.letter().map_or(Ok(Intake::Settle(Outcome::Unchanged(needless))), Err)
    }
}

/// Reads a body; `marked` as in [`Intake::of`].
pub fn changes(body: &[u8], content_type: Option<&str>, marked: bool) -> Result<DecodedBody, DeadLetter> {
    decoded(body, content_type, marked).and_then(reported)
}

/// Decodes a body; `marked` as in [`Intake::of`].
pub fn decoded(
    body: &[u8],
    content_type: Option<&str>,
    marked: bool,
) -> Result<decode::DecodedMessage, DeadLetter> {
    let mut decoded = decode::decode(body, content_type).map_err(|error| match error.problem {
        DecodeProblem::Missing("Target" | "Targets") if marked => truncated(),
        _ => undecodable(&error),
    })?;
    if marked {
        decoded.mark_truncated();
    }
    Ok(decoded)
}

/// What a decoded body reports, or why there is nothing in it to plan.
pub fn reported(decoded: decode::DecodedMessage) -> Result<DecodedBody, DeadLetter> {
    match decoded.subject {
        Subject::Contacts { changes, unread } => Ok(DecodedBody::Changes(changes, unreadable(unread))),
        Subject::NoChange => Ok(DecodedBody::Nothing(SkipReason::OperationIgnored)),
        Subject::Stripped => Err(truncated()),
        Subject::Unsupported => Err(unsupported(&decoded.name)),
        Subject::OtherEntity { name } => Err(wrong_entity(&name)),
    }
}

/// Records of a message about several that are no changes of contacts.
fn unreadable(unread: Vec<Unread>) -> Failures {
    let mut failures = Failures::default();
    for Unread { position, why } in unread {
        let letter = match why {
            Unreadable::NoId => DeadLetter::new(
                DeadLetterReason::BodyUndecodable,
                "the record does not say which contact it is; send it with its id",
            ),
            Unreadable::OtherTable => wrong_entity(""),
        };
        failures.push(Member { position, contact: None }, letter);
    }
    failures
}

/// A body that cannot be read, for this reason.
#[must_use]
pub fn undecodable(error: &dyn std::error::Error) -> DeadLetter {
    let text = format!("{}; find out who but Dataverse may send to the queue", chain(error));
    DeadLetter::new(DeadLetterReason::BodyUndecodable, &text)
}

fn wrong_entity(name: &str) -> DeadLetter {
    let table = if is_logical_name(name) { name } else { "another table" };
    DeadLetter::new(
        DeadLetterReason::WrongEntity,
        &format!("the message is about {table}, not contact; register the step on contact only"),
    )
}
