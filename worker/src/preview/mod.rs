//! What would become of a message, and what messages show about the settings, without doing anything.
//!
//! [`judge`] decides for `run` and for all who only ask. [`Preview`] is its answer for those: a message is looked at and
//! never taken, so no lock, no delivery count and no settlement is touched. [`render`] tells it in words and in JSON.

pub(crate) mod judge;
pub(crate) mod message_check;
pub(crate) mod render;
mod subjects;
pub(crate) mod waiting;

use jiff::Timestamp;
use servicebus::Message;
use shared::{
    engine::{Intake, Planned},
    outcome::Outcome,
    patch::UserWrite,
    plan::{LinkQuery, Planner, RowGrounds, SkipReason, WantedRow},
    reason::{DeadLetter, chain},
};

use self::judge::{Contents, Judged, internal, read};
pub(crate) use self::subjects::Subjects;
use crate::{
    envelope::DeliveryHistory,
    graph::{Difference, GraphClient, find_all},
};

/// What `run` would do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preview {
    /// What the message reports.
    pub(crate) report: Contents,
    /// What would be written.
    pub(crate) writes: Vec<Pending>,
    /// Why nothing is to be done, if that is so.
    pub(crate) nothing: Option<SkipReason>,
    /// The dead letter that it would become; with writes, after them.
    pub(crate) letter: Option<DeadLetter>,
    /// Whether it was a dead letter, so that what it says may be old.
    pub(crate) may_be_old: bool,
    /// Rows that have to be read in Dataverse before anything else is known.
    pub(crate) reads: Vec<WantedRow>,
    /// What Graph has to be asked before anything else is known.
    pub(crate) lookups: Vec<LinkQuery>,
    /// Why it was asked in vain.
    pub(crate) unanswered: Option<String>,
}

/// A write that is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// As `run` would make it, if no other change of the user were at hand.
    pub(crate) write: UserWrite,
    /// Under which condition a sign-in address is moved.
    pub(crate) condition: Option<&'static str>,
    /// What Graph shows, if it was asked.
    pub(crate) compared: Option<Compared>,
}

/// What Graph shows about a write that is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// What it would change.
    Differs(Difference),
    /// It would not be written, and become a dead letter.
    DeadLetter(DeadLetter),
    /// The user could not be looked at.
    Unknown(String),
}

impl Preview {
    /// Judges a message as `run` would at this time.
    pub(crate) fn of(message: &Message, planner: &Planner, now: Timestamp) -> Self {
        let mut report = Err(internal());
        let mut note = |reported: &Contents| report.clone_from(reported);
        let Judged { intake, history } =
            judge::judge(read, message, planner, RowGrounds::default(), now, &mut note);
        let mut preview = Self {
            report,
            writes: Vec::new(),
            nothing: None,
            letter: None,
            may_be_old: history.may_be_old,
            reads: Vec::new(),
            lookups: Vec::new(),
            unanswered: None,
        };
        match intake {
            Intake::Work(works, failures) => {
                preview.writes = works.iter().map(|work| Pending::of(work, &history, now)).collect();
                preview.letter = failures.letter();
            }
            Intake::LookUp(queries) => preview.lookups = queries,
            Intake::Read(rows) => preview.reads = rows,
            Intake::Settle(Outcome::Unchanged(why)) => preview.nothing = Some(why),
            // What is handed back for later, because reading it panicked, becomes this dead letter then.
            Intake::Settle(Outcome::DeadLettered(letter) | Outcome::Returned(letter)) => {
                preview.letter = Some(letter);
            }
            // Nothing else ends before it was in the engine.
            Intake::Settle(_) => preview.letter = Some(internal()),
        }
        preview
    }

    /// The same, and asks Graph who is meant if that has to be looked up.
    pub(crate) async fn asking(
        message: &Message,
        planner: &Planner,
        now: Timestamp,
        graph: &GraphClient,
    ) -> Self {
        let mut preview = Self::of(message, planner, now);
        if preview.lookups.is_empty() {
            return preview;
        }
        match find_all(graph, preview.lookups.clone()).await {
            Ok(answers) => {
                let mut planner = planner.clone();
                planner.known.learn(&answers);
                Self::of(message, &planner, now)
            }
            Err(unanswered) => {
                let letter = unanswered.failure().dead_letter;
                preview.unanswered = Some(letter.description.as_str().to_owned());
                preview
            }
        }
    }

    /// Asks Graph about each write.
    pub(crate) async fn compare(&mut self, graph: &GraphClient) {
        for one in &mut self.writes {
            one.compared = Some(Compared::with(graph, &one.write).await);
        }
    }

    /// Whom it is about.
    pub(crate) fn subjects(&self, planner: &Planner) -> Subjects {
        let mut subjects = Subjects::reported(&self.report, planner);
        subjects.found(self.writes.iter().map(|one| one.write.user));
        subjects
    }

    /// The dead letter that it would become, by what is known.
    pub(crate) fn dead_letter(&self) -> Option<&DeadLetter> {
        let by_graph = self.writes.iter().find_map(|one| match &one.compared {
            Some(Compared::DeadLetter(letter)) => Some(letter),
            _ => None,
        });
        self.letter.as_ref().or(by_graph)
    }
}

impl Pending {
    fn of(planned: &Planned, history: &DeliveryHistory, now: Timestamp) -> Self {
        let write = UserWrite { urgency: history.urgency, ..stamped(planned, history, now) };
        Self { write, condition: planned.patch.condition(), compared: None }
    }
}

/// A planned change as a write by itself, with the stamp that `run` gives it. What was never in a queue is of now.
pub(crate) fn stamped(planned: &Planned, history: &DeliveryHistory, now: Timestamp) -> UserWrite {
    planned.alone(history.first_seen.unwrap_or(now), history.arrival)
}

impl Compared {
    async fn with(graph: &GraphClient, write: &UserWrite) -> Self {
        match graph.forecast(write).await {
            Ok(difference) => Self::Differs(difference),
            Err(error) if error.is_about_the_user() => Self::DeadLetter(error.dead_letter()),
            Err(error) => Self::Unknown(chain(&error)),
        }
    }
}
