//! Contacts and their users, paired: all of them, or those that may have changed since a pass.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use shared::{
    class::Class,
    drift::{Baseline, Paired, Pairing, TableRow},
    hash_key::HashKey,
    ids::ContactId,
    plan::Planner,
};
use uuid::Uuid;

use super::{
    ReconcileError,
    columns::KEY,
    sides::{LOOK, RawRows, Sides},
};
use crate::dataverse;

/// By how much our clock and that of the rows may be apart.
const MARGIN: SignedDuration = SignedDuration::from_mins(15);
/// Rows that have changed, above which all are read: their ids are kept meanwhile.
const MANY_ROWS: usize = 200_000;

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReconcileProgress {
    /// Users read so far.
    Users(u64),
    /// Contacts read so far.
    Contacts(u64),
    /// Candidates looked at, of so many.
    Looked {
        /// So many are done.
        done: u64,
        /// Of so many.
        of: u64,
    },
}

/// Which contacts are read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ContactsRead<'b> {
    /// All of them, against all users; and whether a link to what changes from now on is wanted.
    All {
        /// Whether it is.
        tracked: bool,
    },
    /// Those that were changed since a time, by their own word.
    Since(Timestamp),
    /// Those that have changed since a pass, and those that differed then.
    Changed(&'b Baseline),
}

/// Reads contacts and pairs them; with the link to what has changed since, if there is one.
pub(super) async fn pairs(
    sides: &Sides,
    (which, begun): (ContactsRead<'_>, Timestamp),
    told: &mut impl FnMut(ReconcileProgress),
) -> Result<(Paired, Option<Box<str>>), ReconcileError> {
    match which {
        ContactsRead::All { tracked } => {
            let key = HashKey::new(rand::random());
            let users = sides.users(key, |users| told(ReconcileProgress::Users(users as u64))).await?;
            let mut walk = Walk::new(sides, Pairing::with(users), told);
            let link = walk.all(tracked).await?;
            if link.is_some() {
                walk.once_more(begun).await?;
            }
            Ok((walk.pairing.end(), link))
        }
        ContactsRead::Since(since) => {
            let mut walk = Walk::new(sides, Pairing::of_some(), told);
            walk.since(since).await?;
            Ok((walk.pairing.end(), None))
        }
        ContactsRead::Changed(baseline) => {
            let mut walk = Walk::new(sides, Pairing::of_some(), told);
            let link = walk.changed(baseline).await?;
            Ok((walk.pairing.end(), link))
        }
    }
}

struct Walk<'s, 't, T> {
    sides: &'s Sides,
    planner: Planner,
    pairing: Pairing,
    told: &'t mut T,
}

impl<'s, 't, T: FnMut(ReconcileProgress)> Walk<'s, 't, T> {
    fn new(sides: &'s Sides, pairing: Pairing, told: &'t mut T) -> Self {
        Self { sides, planner: sides.planner.clone(), pairing, told }
    }

    async fn page(
        &self,
        pages: &mut RawRows<'_>,
    ) -> Result<Option<Vec<Map<String, Value>>>, dataverse::Error> {
        self.sides.toll.dataverse(pages.next()).await
    }

    async fn all(&mut self, tracked: bool) -> Result<Option<Box<str>>, ReconcileError> {
        let mut pages = self.sides.all_contacts(tracked);
        let mut page = self.page(&mut pages).await;
        if let Err(error) = page.as_ref()
            && tracked
            && is_refused_for_good(error)
        {
            // It is not known how an environment without change tracking answers, and tracking asks for more rights.
            tracing::info!(error = %error.explained(), "contacts are read without their changes tracked");
            pages = self.sides.all_contacts(false);
            page = self.page(&mut pages).await;
        }
        let mut rows = page?;
        while let Some(page) = rows {
            for members in &page {
                self.take(&self.sides.reader.row(members)?).await?;
            }
            self.tell();
            rows = self.page(&mut pages).await?;
        }
        let link = pages.delta_link().map(Into::into);
        if tracked && link.is_none() {
            tracing::warn!(
                "dataverse does not track changes of contacts, so everything is read each time; let the administrator switch \
                 on Track changes in the properties of the table"
            );
        }
        Ok(link)
    }

    async fn since(&mut self, since: Timestamp) -> Result<(), ReconcileError> {
        let mut pages = self.sides.contacts_since(since);
        while let Some(page) = self.page(&mut pages).await? {
            for members in &page {
                self.take(&self.sides.reader.row(members)?).await?;
            }
            self.tell();
        }
        Ok(())
    }

    /// Reads what was changed since shortly before the pass began. It is not known whether the link behind the last page dates
    /// from that page or from the first one.
    async fn once_more(&mut self, begun: Timestamp) -> Result<(), ReconcileError> {
        let mut pages = self.sides.contacts_since(begun.checked_sub(MARGIN).unwrap_or(begun));
        while let Some(page) = self.page(&mut pages).await? {
            for members in &page {
                let row = self.sides.reader.row(members)?;
                while let Err(queries) = self.pairing.take_again(&row, &self.planner) {
                    self.sides.learn(&mut self.planner, queries).await?;
                }
            }
        }
        Ok(())
    }

    async fn changed(&mut self, baseline: &Baseline) -> Result<Option<Box<str>>, ReconcileError> {
        let (mut seen, mut link) = (HashSet::new(), None);
        if let Some(known) = &baseline.link {
            let mut pages = self.sides.contacts_behind(known)?;
            while let Some(page) = self.page(&mut pages).await.map_err(lost)? {
                for members in &page {
                    if let Some(gone) = deleted(members) {
                        seen.insert(gone);
                        continue;
                    }
                    let row = self.sides.reader.row(members)?;
                    seen.insert(row.contact);
                    self.take(&row).await?;
                }
                self.tell();
                self.bound(seen.len())?;
            }
            // Whoever told what has changed and not where to go on is asked for everything next time.
            link = pages.delta_link().map(Into::into);
        }
        let known: Vec<_> = baseline.known.iter().filter(|known| !seen.contains(*known)).copied().collect();
        for contacts in known.chunks(LOOK) {
            for row in self.sides.rows_of(contacts).await? {
                self.take(&row).await?;
            }
        }
        Ok(link)
    }

    fn bound(&self, rows: usize) -> Result<(), ReconcileError> {
        let many = self.pairing.candidates() > Baseline::MOST_KNOWN || rows > MANY_ROWS;
        if many { Err(ReconcileError::ManyChanges) } else { Ok(()) }
    }

    async fn take(&mut self, row: &TableRow) -> Result<(), ReconcileError> {
        while let Err(queries) = self.pairing.take(row, &self.planner) {
            self.sides.learn(&mut self.planner, queries).await?;
        }
        Ok(())
    }

    fn tell(&mut self) {
        (self.told)(ReconcileProgress::Contacts(self.pairing.totals().contacts));
    }
}

/// The contact of what is left of a deleted row.
fn deleted(members: &Map<String, Value>) -> Option<ContactId> {
    let is_left =
        !members.contains_key(KEY) && members.get("reason").is_some_and(|reason| reason == "deleted");
    let id = members.get("id").filter(|_| is_left)?.as_str()?;
    Uuid::try_parse(id).ok().map(ContactId)
}

/// Whether Dataverse itself has refused, and will again.
fn is_refused_for_good(error: &dataverse::Error) -> bool {
    error.refusal().is_some() && matches!(error.class(), Class::Permanent | Class::Installation)
}

/// A position that is refused is of no use any more. 0x80044352 says so, and what else is said of it is not written down.
fn lost(error: dataverse::Error) -> ReconcileError {
    if error.refusal().is_some() && error.class() == Class::Permanent {
        ReconcileError::Position(Box::new(error))
    } else {
        error.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_of_a_deleted_row_is_no_row() {
        let id = "03d0d059-3dcf-41f2-9e20-57b85dbff932";
        let read = |members: Value| deleted(members.as_object().expect("an object")).map(|id| id.to_string());
        let context = "https://contoso.crm4.dynamics.com/api/data/v9.2/$metadata#contacts/$deletedEntity";
        assert_eq!(
            read(json!({"@odata.context": context, "id": id, "reason": "deleted"})).as_deref(),
            Some(id)
        );
        for other in [
            json!({"contactid": id, "id": id, "reason": "deleted"}),
            json!({"id": id}),
            json!({"id": 1, "reason": "deleted"}),
            json!({"contactid": id, "firstname": null}),
        ] {
            assert_eq!(read(other.clone()), None, "{other}");
        }
    }
}
