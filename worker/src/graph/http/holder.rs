//! Who has an address that a write was refused for, so that a person knows where to look.
//!
//! Source: Microsoft's "List users", "objectIdentity resource type" (filters want id and issuer) and "List
//! deletedItems". The filter on deleted users is not verified; where it is refused, nobody is named.

use shared::{
    ids::UserId,
    patch::{PropertyValue, UserWrite},
    plan::LinkQuery,
    reason::{DeadLetterReason, chain},
    reconcile::Body,
};

use super::{GraphClient, find::by, wire};
use crate::graph::{
    Error,
    answer::{Handling, ValueHolder},
};

/// The sign-in addresses of a write of nothing but addresses, each with its issuer.
struct Sought(Vec<(Box<str>, Box<str>)>);

impl Sought {
    /// What to look for if this write is refused. `None` if more than addresses is written: it is going to be taken apart,
    /// and what else there is may be what is refused.
    fn of(write: &UserWrite, body: &Body) -> Option<Self> {
        if !write.entries.iter().all(|entry| entry.property.holds_addresses()) {
            return None;
        }
        let wanted = write.entries.iter().find_map(|entry| match &entry.value {
            PropertyValue::SignIn(wanted) => Some(&wanted.address),
            _ => None,
        });
        let emails = body.identities.iter().flatten().filter(|identity| identity.is_email());
        let same = emails.filter(|identity| Some(&identity.issuer_assigned_id) == wanted);
        Some(Self(same.map(|one| (one.issuer.clone(), one.issuer_assigned_id.clone())).collect()))
    }
}

impl GraphClient {
    /// Sends the write. If it is refused because somebody else has the address, the error says who that is.
    pub(super) async fn patch_or_name_holder(&self, write: &UserWrite, body: Body) -> Result<bool, Error> {
        let sought = Sought::of(write, &body);
        match (self.patch_guarded(write, body).await, sought) {
            (Err(error), Some(sought)) => Err(self.with_holder(error, &sought, write).await),
            (sent, _) => sent,
        }
    }

    /// Fails if somebody else has an address that would be given to the user. Who cannot be looked for counts as nobody.
    pub(super) async fn check_nobody_holds(&self, write: &UserWrite, body: &Body) -> Result<(), Error> {
        let Some(sought) = Sought::of(write, body) else { return Ok(()) };
        match self.find(&sought, write).await {
            Ok(Some(holder)) => Err(Error::Taken(holder)),
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::debug!(
                    error = chain(&error),
                    "whether somebody has the address could not be found out"
                );
                Ok(())
            }
        }
    }

    /// The same error, with whoever has the value if it is a conflict and he can be found.
    async fn with_holder(&self, error: Error, sought: &Sought, write: &UserWrite) -> Error {
        let Error::Refused { mut answer, guard } = error else { return error };
        if answer.handling() == Handling::DeadLetter(DeadLetterReason::IdentityConflict) {
            let found = match answer.holder {
                Some(ValueHolder { user, .. }) => self.whereabouts(user, write).await.map(Some),
                None => self.find(sought, write).await,
            };
            match found {
                Ok(found) => answer.holder = found.or(answer.holder),
                Err(error) => {
                    tracing::debug!(error = chain(&error), "who has the value could not be found out");
                }
            }
        }
        Error::Refused { answer, guard }
    }

    /// Whether a user is there or was deleted.
    async fn whereabouts(&self, user: UserId, write: &UserWrite) -> Result<ValueHolder, Error> {
        let select = "$select=id";
        match self.fetch(&self.look(&format!("users/{user}"), select, write.urgency), wire::object_id).await {
            Ok(_) => return Ok(ValueHolder { user, deleted: Some(false) }),
            Err(error) if error.is_about_the_user() => {}
            Err(error) => return Err(error),
        }
        let deleted = self.look(&format!("directory/deletedItems/{user}"), select, write.urgency);
        self.fetch(&deleted, wire::object_id).await.map(|_| ValueHolder { user, deleted: Some(true) })
    }

    /// Who signs in with one of these addresses.
    async fn find(&self, sought: &Sought, write: &UserWrite) -> Result<Option<ValueHolder>, Error> {
        for (issuer, address) in &sought.0 {
            let query = by(&LinkQuery::Identity { issuer: issuer.clone(), id: address.clone() });
            for (path, deleted) in [("users", false), ("directory/deletedItems/microsoft.graph.user", true)] {
                let found = self.fetch(&self.look(path, &query, write.urgency), wire::user_ids).await?;
                // A look that lags behind may show the user himself, who has given the address up since.
                if let Some(user) = found.into_iter().find(|user| *user != write.user) {
                    return Ok(Some(ValueHolder { user, deleted: Some(deleted) }));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use url::form_urlencoded;

    use super::*;

    #[test]
    fn nothing_in_an_address_leaves_its_place_in_the_query() {
        let asked = by(&LinkQuery::Identity { issuer: "c'd".into(), id: "o'neill+x&$select=*@b.c".into() });
        let query = asked.strip_prefix("$filter=").and_then(|rest| rest.strip_suffix("&$select=id"));
        let query = query.expect("a filter");
        assert!(!query.contains(['&', '+', ' ', '\'', '#', '=']), "{query}");
        let pair = format!("q={query}");
        let read: Vec<_> = form_urlencoded::parse(pair.as_bytes()).collect();
        let told =
            "identities/any(c:c/issuerAssignedId eq 'o''neill+x&$select=*@b.c' and c/issuer eq 'c''d')";
        assert_eq!(read, [("q".into(), told.into())]);
    }
}
