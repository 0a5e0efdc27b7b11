//! Whom a message is about: the ids by which an operator finds it again in Dataverse and in the directory.

use std::fmt::Write;

use servicebus::Message;
use shared::{
    ids::{ContactId, JobId, UserId},
    plan::Planner,
};
use uuid::Uuid;

use super::judge::{self, Contents};

/// Most ids of one kind that are told at once; a message can be about a thousand contacts.
const TOLD: usize = 10;

/// Whom a message is about, as far as it can be read, in the order of the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subjects {
    /// Contacts that changed.
    pub(crate) contacts: Vec<ContactId>,
    /// Users that are meant: by their links, or by what Graph has answered.
    pub(crate) users: Vec<UserId>,
    /// The system job of Dataverse that posted it.
    pub(crate) job: Option<JobId>,
}

impl Subjects {
    /// Decodes a message as far as it goes.
    #[must_use]
    pub(crate) fn of(message: &Message, planner: &Planner) -> Self {
        Self::reported(&judge::report(message), planner)
    }

    /// Whom a report is about.
    #[must_use]
    pub(crate) fn reported(report: &Contents, planner: &Planner) -> Self {
        let mut subjects = Self::default();
        for change in judge::changes(report) {
            push(&mut subjects.contacts, change.contact);
            if let Some(user) = planner.linked_user(change) {
                push(&mut subjects.users, user);
            }
            subjects.job = subjects.job.or(change.origin.job);
        }
        subjects
    }

    /// The same with users who were found otherwise than by the link.
    pub(crate) fn found(&mut self, users: impl IntoIterator<Item = UserId>) {
        for user in users {
            push(&mut self.users, user);
        }
    }

    /// Whether this id is one of a contact, a user or a job here.
    #[must_use]
    pub(crate) fn has(&self, id: Uuid) -> bool {
        self.contacts.contains(&ContactId(id))
            || self.users.contains(&UserId(id))
            || self.job == Some(JobId(id))
    }

    /// The ids that are known, by the names of fields of the log and of attributes of spans.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'static str, String)> {
        let ids =
            [("contact.id", self.contact_text()), ("user.id", self.user_text()), ("job.id", self.job_text())];
        ids.into_iter().filter_map(|(name, id)| Some((name, id?)))
    }

    /// The contacts, for a field of the log.
    #[must_use]
    pub(crate) fn contact_text(&self) -> Option<String> {
        told(&self.contacts)
    }

    /// The users, for a field of the log.
    #[must_use]
    pub(crate) fn user_text(&self) -> Option<String> {
        told(&self.users)
    }

    /// The job, for a field of the log.
    #[must_use]
    pub(crate) fn job_text(&self) -> Option<String> {
        self.job.map(|job| job.to_string())
    }
}

fn push<T: PartialEq>(all: &mut Vec<T>, one: T) {
    // A message about many contacts names each once, as a rule of the platform; to search all of them for each would be
    // quadratic in what a sender decides.
    if all.len() > TOLD || !all.contains(&one) {
        all.push(one);
    }
}

/// Ids with commas between them; nothing if there is none.
fn told<T: std::fmt::Display>(ids: &[T]) -> Option<String> {
    let (first, more) = ids.split_first()?;
    let mut text = first.to_string();
    for id in more.iter().take(TOLD - 1) {
        // Writing to a string cannot fail.
        let _infallible = write!(text, ",{id}");
    }
    if ids.len() > TOLD {
        let _infallible = write!(text, ",… ({} in all)", ids.len());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contacts(number: u128) -> Vec<ContactId> {
        (0..number).map(|id| ContactId(Uuid::from_u128(id))).collect()
    }

    #[test]
    fn few_ids_are_told_and_many_are_counted() {
        assert_eq!(told::<ContactId>(&[]), None);
        assert_eq!(told(&contacts(2)).map(|text| text.len()), Some(36 + 1 + 36));
        let many = told(&contacts(1_000)).expect("some");
        assert!(many.ends_with(",… (1000 in all)") && many.matches('-').count() == 40, "{many}");
    }

    #[test]
    fn an_id_is_found_whatever_it_is_of() {
        let id = Uuid::from_u128;
        let mut subjects = Subjects { contacts: contacts(2), users: Vec::new(), job: Some(JobId(id(9))) };
        subjects.found([UserId(id(5)), UserId(id(5))]);
        assert_eq!(subjects.users.len(), 1);
        assert!([0, 1, 5, 9].into_iter().all(|one| subjects.has(id(one))) && !subjects.has(id(2)));
    }
}
