//! The two sides, as they are read: rows of Dataverse and users of Graph, by pages and one by one.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde_json::{Map, Value};
use servicebus::clock;
use shared::{
    drift::{Candidate, Looked, RowComparison, TableRow, UserTable},
    hash_key::HashKey,
    ids::{ContactId, UserId},
    plan::{LinkQuery, Planner},
    property::Property,
    reconcile::{Current, ReadPolicy},
};

use super::{
    ReconcileError,
    columns::{KEY, RowReader},
    toll::Toll,
};
use crate::{
    dataverse,
    graph::{Directory, Error, GraphClient, UserQuery},
    operate::{
        persevere::persevere,
        read_pace::{OF_LOOK, OF_PAGE},
    },
};

/// Users who are looked at at once.
const AT_ONCE: usize = 4;
/// Most candidates of one look: as many ids as one question of Dataverse's takes.
pub(super) const LOOK: usize = 100;

/// Pages of rows as the Web API shows them.
pub(super) type RawRows<'s> = dataverse::RowPages<'s, Map<String, Value>>;

/// Both sides.
pub(crate) struct Sides {
    pub(crate) dataverse: dataverse::Client,
    pub(crate) graph: GraphClient,
    pub(crate) planner: Planner,
    pub(crate) reading: ReadPolicy,
    pub(crate) reader: RowReader,
    pub(crate) toll: Toll,
    /// Whether rows are right where marks show something newer. A person says so.
    pub(crate) overrules: bool,
}

impl Sides {
    fn query(&self) -> UserQuery {
        let properties = self.planner.mapping.rows().iter().map(|row| row.property.clone());
        UserQuery::marked(properties.collect::<Vec<Property>>(), &self.reading)
    }

    /// All users.
    pub(super) async fn users(
        &self,
        key: HashKey,
        mut told: impl FnMut(usize),
    ) -> Result<UserTable, ReconcileError> {
        let query = self.query();
        let mut table = UserTable::new(key, &self.planner.mapping, &self.reading);
        let (mut next, mut seen) = (Some(self.graph.first_page(&query)), HashSet::new());
        while let Some(url) = next {
            let page =
                persevere(None, || self.toll.graph(OF_PAGE, self.graph.users_at(&url, &query))).await?;
            for (user, current) in &page.users {
                table.insert(*user, current);
            }
            told(table.len());
            if !seen.insert(url) {
                return Err(ReconcileError::Circle);
            }
            next = page.next;
        }
        Ok(table)
    }

    /// All contacts, page by page; with the changes tracked, there is a link to what has changed since behind the last page.
    pub(super) fn all_contacts(&self, tracked: bool) -> RawRows<'_> {
        let query = format!("contacts?$select={}", self.reader.selection());
        if tracked {
            self.dataverse.tracked_pages(&query, dataverse::PAGE)
        } else {
            self.dataverse.pages(&query, dataverse::PAGE)
        }
    }

    /// The contacts that were changed since a time, page by page.
    pub(super) fn contacts_since(&self, since: Timestamp) -> RawRows<'_> {
        let (selection, since) = (self.reader.selection(), since.strftime("%Y-%m-%dT%H:%M:%SZ"));
        let query = format!("contacts?$select={selection}&$filter=modifiedon%20ge%20{since}");
        self.dataverse.pages(&query, dataverse::PAGE)
    }

    /// What has changed behind a link: rows, and what is left of those that were deleted.
    pub(super) fn contacts_behind(&self, link: &str) -> Result<RawRows<'_>, ReconcileError> {
        self.dataverse.changes(link, dataverse::PAGE).ok_or_else(|| {
            let elsewhere = "the link to what has changed leads away from dataverse.url".into();
            ReconcileError::Position(Box::new(dataverse::Error::Senseless(elsewhere)))
        })
    }

    /// Asks who is meant, and learns it.
    pub(super) async fn learn(
        &self,
        planner: &mut Planner,
        queries: Vec<LinkQuery>,
    ) -> Result<(), ReconcileError> {
        for query in queries {
            let answer = persevere(None, || self.toll.graph(OF_LOOK, self.graph.find(&query))).await?;
            planner.known.learn(&[(query, answer)]);
        }
        Ok(())
    }

    /// Looks at the users and then at the rows of some candidates. In this order: a row that is read after its user holds
    /// every change that had been applied to him.
    pub(super) async fn look(
        &self,
        candidates: &[Candidate],
    ) -> Result<Vec<(Candidate, Looked)>, ReconcileError> {
        let query = self.query();
        let read = |candidate: &Candidate| {
            let (user, query) = (candidate.user, &query);
            async move {
                let ask = || self.toll.graph(OF_LOOK, self.graph.one_user(user, query));
                Ok::<_, Error>((user, persevere(None, ask).await?))
            }
        };
        let users = stream::iter(candidates).map(read).buffer_unordered(AT_ONCE);
        let users: HashMap<UserId, Option<Current>> = users.try_collect().await?;
        let mut looked = Vec::with_capacity(candidates.len());
        for candidates in candidates.chunks(LOOK) {
            let rows = self.rows(candidates).await?;
            let table = self.reader.table_age(clock::now());
            let comparison = RowComparison::new(&self.reading).within(table).overruling(self.overrules);
            for candidate in candidates {
                let row = rows.get(&candidate.contact);
                let user = users.get(&candidate.user).and_then(Option::as_ref);
                looked.push((*candidate, self.judge(&comparison, *candidate, row, user).await?));
            }
        }
        Ok(looked)
    }

    async fn rows(&self, candidates: &[Candidate]) -> Result<HashMap<ContactId, TableRow>, ReconcileError> {
        let contacts: Vec<_> = candidates.iter().map(|candidate| candidate.contact).collect();
        let rows = self.rows_of(&contacts).await?.into_iter();
        Ok(rows.map(|row| (row.contact, row)).collect())
    }

    /// The rows of these contacts, of [`LOOK`] at most; those that are gone are left out.
    pub(super) async fn rows_of(&self, contacts: &[ContactId]) -> Result<Vec<TableRow>, ReconcileError> {
        let ids: Vec<_> = contacts.iter().map(|contact| contact.0).collect();
        let selection = self.reader.selection();
        let asked = self.dataverse.rows_by_id::<Map<String, Value>>("contacts", KEY, &ids, &selection);
        let rows = self.toll.dataverse(asked).await?;
        rows.iter().map(|members| self.reader.row(members)).collect()
    }

    async fn judge(
        &self,
        comparison: &RowComparison,
        candidate: Candidate,
        row: Option<&TableRow>,
        user: Option<&Current>,
    ) -> Result<Looked, ReconcileError> {
        let mut planner = None;
        loop {
            let known = planner.as_ref().unwrap_or(&self.planner);
            match Looked::at(candidate, row, user, (comparison, known)) {
                Ok(looked) => return Ok(looked),
                Err(queries) => {
                    self.learn(planner.get_or_insert_with(|| self.planner.clone()), queries).await?;
                }
            }
        }
    }
}
