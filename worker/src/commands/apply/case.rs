//! One change that is forced through: its plan, what the user has, and what became of it.

use jiff::Timestamp;
use servicebus::{Message, clock};
use shared::{
    change::Change,
    class::Class,
    engine::intake::Planned,
    lanes::Success,
    mark::Mark,
    patch::{PropertyValue, UserWrite},
    plan::{Forced, LinkMatch, Plan, Planner, SkipReason},
    property::Property,
    reason::{DeadLetter, chain},
    version::Version,
};

use crate::{
    envelope::DeliveryHistory,
    graph::{self, Directory, GraphClient, find_all},
    preview::{judge, stamped},
};

/// What is asked for.
pub(super) struct Order<'a> {
    pub(super) directory: &'a GraphClient,
    pub(super) planner: &'a Planner,
    /// Whether to write.
    pub(super) write: bool,
    /// Whether to write also what the mark shows to be older.
    pub(super) overrule: bool,
}

/// Properties that a message does not carry whole, and the column that is missing.
type LeftOut = Vec<(Property, Box<str>)>;

/// One change, or a message without any.
pub(super) struct Case {
    pub(super) change: Option<Change>,
    pub(super) left_out: LeftOut,
    pub(super) end: End,
}

/// How it ended.
pub(in crate::commands) enum End {
    /// There is nothing to write.
    Nothing(SkipReason),
    /// It cannot be planned.
    Impossible(DeadLetter),
    /// It was compared with the user, and perhaps written.
    Looked(Looked),
}

/// A planned write beside the user.
pub(in crate::commands) struct Looked {
    pub(super) write: UserWrite,
    /// What the look showed of each property, in order; why there was no look.
    pub(super) seen: Result<Vec<Seen>, String>,
    /// What became of the write, if it was asked for and the look went well.
    pub(super) written: Option<Result<bool, String>>,
}

/// What is so for one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Seen {
    /// The user has another value.
    Different,
    /// The user has this value.
    Same,
    /// The mark shows a newer version, and it is left alone.
    Newer(Option<Version>),
    /// The mark shows a newer version, and it is written all the same.
    Overruled(Version),
}

impl Case {
    pub(super) fn unread(letter: DeadLetter) -> Self {
        Self { change: None, left_out: Vec::new(), end: End::Impossible(letter) }
    }

    pub(super) fn nothing(why: SkipReason) -> Self {
        Self { change: None, left_out: Vec::new(), end: End::Nothing(why) }
    }

    /// Plans a change, looks at its user, and writes if that is asked for.
    pub(super) async fn of(change: Change, message: &Message, order: &Order<'_>) -> Self {
        let mut planner = order.planner.clone();
        if order.overrule {
            planner.link_match = LinkMatch::Anything;
        }
        if let Plan::LookUp(queries) = judge::forced(&change, &planner).plan {
            match find_all(order.directory, queries).await {
                Ok(answers) => planner.known.learn(&answers),
                Err(unanswered) => {
                    let end = End::Impossible(unanswered.failure().dead_letter);
                    return Self { change: Some(change), left_out: Vec::new(), end };
                }
            }
        }
        let (write, left_out) = forced(&change, message, &planner, clock::now());
        let end = match write {
            Ok(write) => End::Looked(Looked::at(write, order).await),
            Err(end) => end,
        };
        Self { change: Some(change), left_out, end }
    }

    /// Whether it could not be done.
    pub(super) fn failed(&self) -> bool {
        match &self.end {
            End::Nothing(_) => false,
            End::Impossible(_) => true,
            End::Looked(looked) => looked.failure().is_some(),
        }
    }

    /// What the comparison with the user has shown, if there was one.
    pub(super) fn looked(&self) -> Option<&Looked> {
        if let End::Looked(looked) = &self.end { Some(looked) } else { None }
    }
}

/// The write that is forced through, stamped as `run` stamps it, or why there is none; and what is left out of it.
pub(in crate::commands) fn forced(
    change: &Change,
    message: &Message,
    planner: &Planner,
    now: Timestamp,
) -> (Result<UserWrite, End>, LeftOut) {
    let Forced { plan, left_out } = judge::forced(change, planner);
    let write = match plan {
        Plan::Nothing(why) => Err(End::Nothing(why)),
        Plan::Impossible(letter) => Err(End::Impossible(letter)),
        // Whoever forces has asked before.
        Plan::LookUp(_) => Err(End::Impossible(judge::internal())),
        Plan::Write { user, patch } => {
            let (contact, version) = (change.contact, change.version);
            let organization = change.organization;
            let write = Planned { user, contact, organization, version, read: None, patch, member: None };
            Ok(stamped(&write, &DeliveryHistory::at(message, now), now))
        }
    };
    (write, left_out)
}

impl Looked {
    async fn at(mut write: UserWrite, order: &Order<'_>) -> Self {
        let seen = match look(&mut write, order).await {
            Ok(seen) => seen,
            Err(error) => return Self { write, seen: Err(explain(&error)), written: None },
        };
        if !order.write {
            return Self { write, seen: Ok(seen), written: None };
        }
        match order.directory.apply(&write).await {
            Ok(Success { written, superseded, .. }) => {
                // What has become newer since the look was left alone, too.
                let properties = write.entries.iter().map(|entry| &entry.property);
                let seen = properties.zip(seen).map(|(property, seen)| match seen {
                    Seen::Newer(_) => seen,
                    _ if superseded.contains(property) => Seen::Newer(None),
                    _ => seen,
                });
                Self { seen: Ok(seen.collect()), write, written: Some(Ok(written)) }
            }
            Err(error) => Self { write, seen: Ok(seen), written: Some(Err(explain(&error))) },
        }
    }
}

/// Compares the write with the user. To overrule the mark, what it shows to be newer is written as of that version:
/// the mark must not say less than what has been written, and nothing newer than what was looked at is overwritten.
async fn look(write: &mut UserWrite, order: &Order<'_>) -> Result<Vec<Seen>, graph::Error> {
    let text = order.directory.mark(write.user).await?;
    let mark = Mark::read(text.as_deref().unwrap_or_default());
    let mut overruled = vec![None; write.entries.len()];
    for (entry, overruled) in write.entries.iter_mut().zip(&mut overruled) {
        let newer = mark.is_newer(&entry.property, &entry.stamp.version);
        if let Some(version) = mark.version(&entry.property).filter(|_| newer && order.overrule) {
            entry.stamp.version = version;
            *overruled = Some(version);
        }
    }
    let difference = order.directory.preview(write).await?;
    let seen = write.entries.iter().zip(overruled).map(|(entry, overruled)| match overruled {
        _ if difference.superseded.contains(&entry.property) => Seen::Newer(mark.version(&entry.property)),
        Some(version) => Seen::Overruled(version),
        None if difference.properties.contains(&entry.property) => Seen::Different,
        None => Seen::Same,
    });
    Ok(seen.collect())
}

/// A failure with what to do about it.
fn explain(error: &graph::Error) -> String {
    let text = chain(error);
    if error.is_about_the_user() {
        return error.dead_letter().description.as_str().to_owned();
    }
    let denied = matches!(error, graph::Error::Refused { answer, .. } if answer.status == 403);
    match error.class() {
        _ if denied => format!(
            "{text}; contactsync check --online tells whether a permission is missing; if other users can be written, \
             this one holds an administrator role, which an app may not write"
        ),
        Class::Throttled { retry_after: Some(wait) } => {
            format!("{text}; do it again in {} seconds", wait.as_secs().max(1))
        }
        Class::Throttled { retry_after: None } | Class::Transient => {
            format!("{text}; do it again, which is harmless whatever became of this call")
        }
        Class::Installation | Class::Permanent => {
            format!("{text}; contactsync check --online tells what is wrong")
        }
    }
}

impl Seen {
    /// Whether the write carries the property.
    pub(super) fn is_written(self) -> bool {
        !matches!(self, Self::Newer(_))
    }

    /// Stable word for machines.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::Same => "same",
            Self::Newer(_) => "newer",
            Self::Overruled(_) => "overruled",
        }
    }

    /// The version that the mark shows.
    pub(super) fn version(self) -> Option<Version> {
        match self {
            Self::Newer(version) => version,
            Self::Overruled(version) => Some(version),
            Self::Different | Self::Same => None,
        }
    }
}

impl Looked {
    /// Whether Graph was written to.
    pub(super) fn is_written(&self) -> bool {
        matches!(self.written, Some(Ok(true)))
    }

    /// Why it could not be looked at or written.
    pub(super) fn failure(&self) -> Option<&str> {
        let failure = self.seen.as_ref().err().or_else(|| self.written.as_ref()?.as_ref().err());
        failure.map(String::as_str)
    }

    /// Property, value and what is so, in order; without a look all count as to be written.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Property, &PropertyValue, Option<Seen>)> {
        self.write.entries.iter().enumerate().map(|(index, entry)| {
            let seen = self.seen.as_ref().ok().and_then(|seen| seen.get(index).copied());
            (&entry.property, &entry.value, seen)
        })
    }
}
