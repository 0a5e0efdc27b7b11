//! Rows of contacts, read for messages that do not say enough: a hundred in one request, as the changes that messages about
//! the whole of them would report.
//!
//! Nothing here guesses. A row that a list leaves out may be hidden from us, so it counts as deleted only if Dataverse says so of
//! that row; one that is refused while others are shown is refused for itself, and what is refused of all is everybody's; an environment answers for its own organization only; and where a column cannot be trusted to show its values, no row is
//! read at all, because what is hidden looks empty and would be emptied at the users.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use serde::de::IgnoredAny;
use shared::{
    change::Change,
    class::Class,
    decode::{self, Subject},
    ids::{ContactId, OrganizationId},
    plan::{Planner, RowId},
};
use tokio::{sync::Mutex, time::timeout};

use super::{
    client::DataverseClient,
    code::Kind,
    context::{ContactRow, ContextWriter, UnfitColumns},
    error::Error,
};

/// Longest time for one question. While it lasts, its messages wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rows that are looked at by themselves at once.
const AT_ONCE: usize = 4;

/// Why a row comes later that is there and was not listed.
const LEFT_OUT: &str = "dataverse has left it out of a list, and shows it by itself";

const TABLE: &str = "contact";
const SET: &str = "contacts";
const KEY: &str = "contactid";

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowSeen {
    /// The contact as it is.
    Shown(Box<Change>),
    /// It was deleted.
    Gone,
    /// It belongs to another organization, or no message can be made of it.
    Unknown,
}

/// What became of several rows. Those that are in neither were not answered.
#[derive(Debug, Default)]
pub(crate) struct RowsSeen {
    /// What was answered.
    pub(crate) rows: Vec<(RowId, RowSeen)>,
    /// Rows that are refused while others are shown, and why.
    pub(crate) refused: Vec<(RowId, String)>,
    /// Why the rest was not.
    pub(crate) failed: Option<Error>,
}

/// Why no rows can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowsUnreadable {
    /// Dataverse does not answer, or refuses; which passes.
    #[error("rows of contacts cannot be read")]
    Away(#[source] Error),
    /// There was no answer in time.
    #[error("dataverse has not answered within {PATIENCE:?}")]
    Late,
    /// The columns are not such that a row says what a message would have said.
    #[error("rows of contacts are not read")]
    Unfit(#[source] UnfitColumns),
}

impl RowsUnreadable {
    /// How long Dataverse asks to wait, if it does.
    #[must_use]
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Away(error) => retry_after(error),
            Self::Late | Self::Unfit(_) => None,
        }
    }

    /// What happened, with its causes and what to do.
    #[must_use]
    pub(crate) fn explained(&self) -> String {
        match self {
            Self::Away(error) => error.explained(),
            Self::Late | Self::Unfit(_) => shared::reason::chain(self),
        }
    }
}

/// How long Dataverse asks to wait, if it does.
#[must_use]
pub(crate) fn retry_after(error: &Error) -> Option<Duration> {
    match error.class() {
        Class::Throttled { retry_after } => retry_after,
        Class::Transient | Class::Permanent | Class::Installation => None,
    }
}

/// What has to be known before the first row is read.
struct Ground {
    organization: OrganizationId,
    writer: ContextWriter,
}

/// Reads rows of contacts of one environment.
pub(crate) struct RowSource {
    client: DataverseClient,
    columns: BTreeSet<Box<str>>,
    /// Found out once, and again after a refusal that shows that something of it has changed.
    ground: Mutex<Option<Arc<Ground>>>,
}

impl RowSource {
    /// Reads the columns that planning needs. Whoever asks decides when a failed question is asked again.
    #[must_use]
    pub(crate) fn new(client: DataverseClient, planner: &Planner) -> Self {
        let columns = planner.columns().into_iter().map(Into::into).collect();
        Self { client: client.once(), columns, ground: Mutex::default() }
    }

    /// Finds out whether rows can be read.
    pub(crate) async fn prepare(&self) -> Result<(), RowsUnreadable> {
        timeout(PATIENCE, self.ground()).await.map_err(|_| RowsUnreadable::Late)?.map(drop)
    }

    /// Reads rows, at most as many as one question takes.
    pub(crate) async fn read(&self, wanted: &[RowId]) -> Result<RowsSeen, RowsUnreadable> {
        timeout(PATIENCE, self.read_all(wanted)).await.map_err(|_| RowsUnreadable::Late)?
    }

    async fn ground(&self) -> Result<Arc<Ground>, RowsUnreadable> {
        let mut known = self.ground.lock().await;
        if let Some(ground) = &*known {
            return Ok(Arc::clone(ground));
        }
        let who = self.client.who_am_i().await.map_err(RowsUnreadable::Away)?;
        let columns = self.client.columns(TABLE).await.map_err(RowsUnreadable::Away)?;
        let needed = self.columns.iter().map(|name| &**name).collect();
        let writer =
            ContextWriter::new(who.organization_id, &needed, &columns).map_err(RowsUnreadable::Unfit)?;
        let ground = Arc::new(Ground { organization: who.organization_id, writer });
        *known = Some(Arc::clone(&ground));
        Ok(ground)
    }

    async fn read_all(&self, wanted: &[RowId]) -> Result<RowsSeen, RowsUnreadable> {
        let ground = self.ground().await?;
        let (ours, others): (Vec<RowId>, Vec<RowId>) =
            wanted.iter().copied().partition(|row| row.organization == Some(ground.organization));
        let mut seen = RowsSeen::default();
        seen.rows.extend(others.into_iter().map(|row| (row, RowSeen::Unknown)));
        if ours.is_empty() {
            return Ok(seen);
        }
        let ids: Vec<_> = ours.iter().map(|row| row.contact.0).collect();
        let select = ground.writer.select();
        let rows: Vec<ContactRow> = match self.client.rows_by_id(SET, KEY, &ids, &select).await {
            Ok(rows) => rows,
            Err(error) => {
                if error.kind() == Some(Kind::Configuration) {
                    *self.ground.lock().await = None;
                }
                return Err(RowsUnreadable::Away(error));
            }
        };
        let mut unseen: BTreeSet<RowId> = ours.into_iter().collect();
        for row in &rows {
            let Some(contact) = ContextWriter::contact(row) else { continue };
            let id = RowId { organization: Some(ground.organization), contact };
            if unseen.remove(&id) {
                seen.rows.push((id, ground.shown(row, contact)));
            }
        }
        self.look_for(unseen, &mut seen).await;
        Ok(seen)
    }

    /// Asks for each row that was left out whether it was deleted.
    async fn look_for(&self, unseen: BTreeSet<RowId>, seen: &mut RowsSeen) {
        let look = |row: RowId| async move {
            let query = format!("{SET}({})?$select={KEY}", row.contact);
            (row, self.client.row::<IgnoredAny>(&query).await)
        };
        let mut looks = stream::iter(unseen).map(look).buffer_unordered(AT_ONCE);
        let mut refused = Vec::new();
        while let Some((row, looked)) = looks.next().await {
            match looked {
                Err(error) if error.kind() == Some(Kind::Gone) => seen.rows.push((row, RowSeen::Gone)),
                // It may have come back just now; then it is shown the next time.
                Ok(_) => seen.refused.push((row, LEFT_OUT.to_owned())),
                Err(error) if can_be_one_rows(&error) => refused.push((row, error)),
                Err(error) => {
                    seen.failed = Some(error);
                    return;
                }
            }
        }
        if refused.is_empty() {
            return;
        }
        match self.shows_others(seen).await {
            Ok(true) => seen.refused.extend(refused.into_iter().map(|(row, error)| (row, error.explained()))),
            Ok(false) => seen.failed = refused.pop().map(|(_, error)| error),
            Err(error) => seen.failed = Some(error),
        }
    }

    /// Whether any row is shown at all, so that one which is refused is refused for itself.
    async fn shows_others(&self, seen: &RowsSeen) -> Result<bool, Error> {
        if seen.rows.iter().any(|(_, row)| matches!(row, RowSeen::Shown(_))) {
            return Ok(true);
        }
        let (rows, _) = self.client.first_rows::<IgnoredAny>(&format!("{SET}?$select={KEY}"), 1).await?;
        Ok(!rows.is_empty())
    }
}

/// Whether an answer about one row can be the fault of that row. Of accounts, limits, and environments that are closed it is
/// not, nor of the way to them.
fn can_be_one_rows(error: &Error) -> bool {
    match error.kind() {
        Some(Kind::Account | Kind::Closed | Kind::Throttled) => false,
        Some(_) => matches!(error.class(), Class::Permanent | Class::Installation | Class::Transient),
        None => matches!(error, Error::Senseless(_)),
    }
}

impl Ground {
    fn shown(&self, row: &ContactRow, contact: ContactId) -> RowSeen {
        let change = self.writer.body(row).map_err(|error| error.to_string()).and_then(|body| change(&body));
        match change {
            Ok(change) => RowSeen::Shown(Box::new(change)),
            Err(error) => {
                tracing::warn!(contact.id = %contact, error, "the row of a contact cannot be used");
                RowSeen::Unknown
            }
        }
    }
}

/// The one change that a message about a row reports.
fn change(body: &[u8]) -> Result<Change, String> {
    let decoded = decode::decode(body, Some("application/json")).map_err(|error| error.to_string())?;
    match decoded.subject {
        Subject::Contacts { mut changes, .. } if changes.len() == 1 => Ok(changes.swap_remove(0)),
        _ => Err("it makes no change of a contact".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dataverse::refusal::{DataverseRefusal, Head};

    #[test]
    fn what_is_said_of_the_account_the_limits_or_the_environment_is_no_fault_of_one_row() {
        for (status, code, of_one) in [
            (403, "0x80048306", true),
            (403, "0x80048405", true),
            (403, "0x80040220", true),
            (403, "", true),
            (400, "0x80060888", true),
            (500, "0x80040265", true),
            (500, "0x80040216", true),
            (403, "0x80072560", false),
            (403, "0x80040225", false),
            (401, "", false),
            (429, "", false),
            (400, "0x80072322", false),
            (503, "0x8004a104", false),
        ] {
            let body = json!({"error": {"code": code, "message": ""}}).to_string();
            let head = Head { status, ..Head::default() };
            let refusal = DataverseRefusal::read(&head, body.as_bytes()).expect("Dataverse's");
            assert_eq!(can_be_one_rows(&Error::Refused(refusal)), of_one, "{status} {code}");
        }
        let other = Error::NotDataverse { host: "h".into(), status: 403, content_type: None };
        assert!(!can_be_one_rows(&other));
    }
}
