//! The address for password reset: the authentication method of a user by e-mail.
//!
//! Source: Microsoft's "List emailMethods" (200 with a list), "Update emailAuthenticationMethod" (PATCH; answered by 204, and
//! by 200 in older versions of the page) and "emailAuthenticationMethod resource type" (its id). What the calls cost of the
//! quota is not documented; the one that writes is counted as a write of a user.

use bytes::Bytes;
use serde_json::json;
use shared::{
    lanes::Success,
    patch::{PatchEntry, PropertyValue, UserWrite},
    priority::Priority,
    property::Property,
    reset::{self, ResetEdit},
};

use super::{GraphClient, Outline, is_near_limit, wire};
use crate::{
    graph::{Difference, Error},
    telemetry::labels::Method,
};

impl GraphClient {
    /// Writes the address for password reset, after whatever else is in the write. The engine puts nothing beside it, so
    /// that each call is a write of its own; only a person who forces a contact through does.
    pub(super) async fn apply_with_reset(&self, write: &UserWrite) -> Result<Success, Error> {
        let rest = write.without_reset();
        if rest.entries.is_empty() {
            return self.apply_reset(write).await;
        }
        let done = self.apply_to_user(&rest).await?;
        let moved = self.apply_reset(&after(write, &rest, &done)).await?;
        Ok(Success {
            written: done.written || moved.written,
            near_limit: done.near_limit || moved.near_limit,
            superseded: [done.superseded, moved.superseded].concat(),
            unchanged: [done.unchanged, moved.unchanged].concat(),
            ..moved
        })
    }

    /// What would become of the same.
    pub(super) async fn preview_reset(&self, write: &UserWrite) -> Result<Difference, Error> {
        let rest = write.without_reset();
        let mut difference =
            if rest.entries.is_empty() { Difference::default() } else { self.preview_user(&rest).await? };
        let Some((entry, _)) = write.reset() else { return Ok(difference) };
        // By then the address that it follows will have been written.
        let mut then = after(write, &rest, &Success::default());
        then.known.extend(
            self.reading
                .reset_follows
                .iter()
                .map(|follows| PatchEntry { property: follows.clone(), ..entry.clone() }),
        );
        match self.look_at_reset(&then).await? {
            ResetEdit::Move(_) => difference.properties.push(entry.property.clone()),
            ResetEdit::Superseded => difference.superseded.push(entry.property.clone()),
            ResetEdit::Present | ResetEdit::Absent | ResetEdit::NotOurs | ResetEdit::NotFollowed => {}
        }
        Ok(difference)
    }

    /// The address for password reset if somebody has put an earlier one of the contact in its place.
    pub(super) async fn undone_reset(&self, write: &UserWrite) -> Result<Option<Property>, Error> {
        let Some((entry, _)) = write.reset() else { return Ok(None) };
        let edit = self.look_at_reset(write).await?;
        Ok(matches!(edit, ResetEdit::Move(_)).then(|| entry.property.clone()))
    }

    async fn apply_reset(&self, write: &UserWrite) -> Result<Success, Error> {
        let Some((entry, _)) = write.reset() else { return Ok(Success::default()) };
        let property = || vec![entry.property.clone()];
        match self.look_at_reset(write).await? {
            ResetEdit::Move(address) => {
                let near_limit = self.move_reset(write, &address).await?;
                Ok(Success { written: true, near_limit, ..Success::default() })
            }
            ResetEdit::Superseded => Ok(Success { superseded: property(), ..Success::default() }),
            ResetEdit::Present => Ok(Success { unchanged: property(), ..Success::default() }),
            left @ (ResetEdit::Absent | ResetEdit::NotOurs | ResetEdit::NotFollowed) => {
                tracing::debug!(user.id = %write.user, why = ?left, "the address for password reset stays as it is");
                Ok(Success { unchanged: property(), undecided: property(), ..Success::default() })
            }
        }
    }

    async fn look_at_reset(&self, write: &UserWrite) -> Result<ResetEdit, Error> {
        let current = self.read(write, &self.reading).await?;
        self.reading.terms.may_write(&write.contacts, &current.person).map_err(Error::Withheld)?;
        let methods = format!("users/{}/authentication/emailMethods", write.user);
        let call = self.look_without_query(&methods, write.urgency);
        let has = self.fetch(&call, wire::reset_addresses).await.map_err(Error::about_reset)?;
        Ok(reset::edit(write, &current, has.first().map(|address| &**address), &self.reading))
    }

    /// Tells whether Graph hinted that a limit is near.
    async fn move_reset(&self, write: &UserWrite, address: &str) -> Result<bool, Error> {
        let method = format!("users/{}/authentication/emailMethods/{}", write.user, wire::RESET_METHOD);
        let body = Bytes::from(json!({ "emailAddress": address }).to_string());
        let call = Outline { method: Method::Patch, body, ..self.look_without_query(&method, write.urgency) };
        let response = self.send_write(&call).await.map_err(Error::about_reset)?;
        Ok(is_near_limit(response.headers()))
    }

    fn look_without_query(&self, path: &str, urgency: Priority) -> Outline {
        let mut call = self.look(path, "", urgency);
        call.url.set_query(None);
        call
    }
}

/// The write as it is when the rest of it is there.
fn after(write: &UserWrite, rest: &UserWrite, done: &Success) -> UserWrite {
    let mut write = UserWrite { known: [&*write.known, &*rest.entries].concat(), ..write.clone() };
    write.entries.retain(|entry| entry.property.is_reset());
    for entry in &mut write.entries {
        if let PropertyValue::SignIn(wanted) = &mut entry.value {
            wanted.earlier = wanted.earlier.iter().chain(&done.gave_way).cloned().collect();
        }
    }
    write
}
