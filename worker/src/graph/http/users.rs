//! Users as they are, all of them or one, without a write in mind: for the comparison of two directories.

use jiff::Timestamp;
use shared::{
    admission::Terms,
    ids::{SequenceNumber, UserId},
    lww_register::Stamp,
    patch::{PatchEntry, PropertyValue, UserWrite},
    priority::Priority,
    property::Property,
    reconcile::{Current, ReadPolicy},
    version::Version,
};
use url::Url;
use uuid::Uuid;

use super::{GraphClient, mark::nothing, pages::ListPage, wire};
use crate::graph::Error;

/// What is read of users.
pub(crate) struct UserQuery {
    /// A write of the properties that are read. It is never made.
    write: UserWrite,
    reading: ReadPolicy,
}

/// A page of all users.
pub(crate) struct UserPage {
    pub(crate) users: Vec<(UserId, Current)>,
    /// Where they go on; `None` if these are the last.
    pub(crate) next: Option<Url>,
}

impl UserQuery {
    /// These properties, and what tells whether the worker may write a user.
    pub(crate) fn new(properties: impl IntoIterator<Item = Property>, terms: &Terms) -> Self {
        let stamp = Stamp { version: Version::at(Timestamp::UNIX_EPOCH), arrival: SequenceNumber(0) };
        let entry = |property| PatchEntry { property, value: PropertyValue::Clear, stamp };
        let entries = properties.into_iter().map(entry).collect();
        let terms = Terms { owner: None, ..terms.clone() };
        Self {
            write: UserWrite { entries, urgency: Priority::default(), ..nothing(UserId(Uuid::nil())) },
            reading: ReadPolicy { guard: None, diff: true, terms, reset_follows: None },
        }
    }

    /// The same, with the owner of a user and the mark of the guard.
    pub(crate) fn marked(properties: impl IntoIterator<Item = Property>, reading: &ReadPolicy) -> Self {
        let reading = ReadPolicy { diff: true, ..reading.clone() };
        Self { reading, ..Self::new(properties, &Terms::default()) }
    }

    fn read(&self, user: &[u8]) -> Option<(UserId, Current)> {
        Some((wire::object_id(user)?, wire::current(user, &self.write, &self.reading)?))
    }

    fn selection(&self) -> String {
        wire::selection(&self.write, &self.reading)
    }
}

impl GraphClient {
    /// Where the list of all users begins. Pages are as long as Graph makes them.
    pub(crate) fn first_page(&self, query: &UserQuery) -> Url {
        self.look("users", &format!("$select={}&$top=999", query.selection()), query.write.urgency).url
    }

    /// The users of the page at this address.
    pub(crate) async fn users_at(&self, url: &Url, query: &UserQuery) -> Result<UserPage, Error> {
        let ListPage { elements, next } = self.page(url, |user| query.read(user)).await?;
        Ok(UserPage { users: elements, next })
    }

    /// One user; `None` if Graph knows none of this id.
    pub(crate) async fn one_user(&self, user: UserId, query: &UserQuery) -> Result<Option<Current>, Error> {
        let call = self.get(user, &query.selection(), query.write.urgency);
        match self.fetch(&call, |body| query.read(body)).await {
            Ok((_, current)) => Ok(Some(current)),
            Err(Error::Refused { answer, .. }) if answer.status == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }
}
