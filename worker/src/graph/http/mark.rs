//! The mark of a user by itself, for a person: read and replaced outside of any write.

use shared::{
    ids::UserId,
    patch::{PropertyValue, UserWrite},
    priority::Priority,
    reconcile::{Body, ReadPolicy},
};

use super::GraphClient;
use crate::graph::Error;

impl GraphClient {
    /// The text of the guard's attribute. `None` if it is empty, and without a guard; an error also then if there is no such
    /// user.
    pub(crate) async fn mark(&self, user: UserId) -> Result<Option<Box<str>>, Error> {
        let reading = ReadPolicy { guard: self.reading.guard.clone(), ..ReadPolicy::default() };
        Ok(self.read(&nothing(user), &reading).await?.mark)
    }

    /// Replaces the text of the guard's attribute, or empties it. Does nothing without a guard.
    pub(crate) async fn set_mark(&self, user: UserId, text: Option<&str>) -> Result<(), Error> {
        let Some(attribute) = self.reading.guard.clone() else { return Ok(()) };
        let value = text.map_or(PropertyValue::Clear, |text| PropertyValue::Text(text.into()));
        let body = Body { properties: vec![(attribute, value)], identities: None };
        self.patch(&nothing(user), &body).await.map(drop)
    }
}

/// A write of nothing, to say whom a call is about.
pub(super) fn nothing(user: UserId) -> UserWrite {
    UserWrite {
        user,
        entries: Vec::new(),
        known: Vec::new(),
        urgency: Priority::default(),
        contacts: Vec::new(),
    }
}
