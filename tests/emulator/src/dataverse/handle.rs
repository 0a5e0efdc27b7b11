//! The handle by which a test steers and watches a local Dataverse.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};
use thiserror::Error;
use tokio::{task::JoinHandle, time::Instant};
use uuid::Uuid;

use super::{
    core::Core,
    faults::Fault,
    foundation,
    journal::Entry,
    limits::Limits,
    options::{ApplicationUser, Options, Role},
    refusal::Refusal,
    state::{State, second},
    store::Component,
    value::Row,
};
use crate::{clock, listeners::Listeners};

/// What was waited for did not come.
#[derive(Debug, Error)]
#[error("nothing of the kind within {within:?}; the last request was {last:?}")]
pub struct TimedOut {
    /// How long the wait was.
    pub within: Duration,
    /// What was asked last.
    pub last: Option<Box<Entry>>,
}

/// A running organization. Dropping it stops it.
#[derive(Debug)]
pub struct Dataverse {
    pub(super) core: Arc<Core>,
    pub(super) options: Options,
    pub(super) listeners: Listeners,
    /// What posts messages.
    pub(super) service: JoinHandle<()>,
}

impl Dataverse {
    /// `http://127.0.0.1:port`: the organization's URL.
    #[must_use]
    pub fn http_url(&self) -> String {
        self.listeners.http_url()
    }

    /// `https://localhost:port`: the same over TLS.
    #[must_use]
    pub fn https_url(&self) -> String {
        self.listeners.https_url()
    }

    /// The certificate to trust for HTTPS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.core.ca_pem
    }

    /// What it was started with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Stops listening, drops every connection and returns when no new one can be made.
    pub async fn stop(mut self) {
        self.listeners.stop().await;
    }

    /// Makes or changes a contact as a person in the app would, through the same commit and the same pipeline.
    /// `columns` are in the form of the Web API.
    pub fn write_contact(&self, id: Uuid, columns: &Map<String, Json>) -> Result<(), Refusal> {
        self.write("contacts", id, columns)
    }

    /// The same for a row of any entity set.
    pub fn write(&self, set: &str, id: Uuid, columns: &Map<String, Json>) -> Result<(), Refusal> {
        let written = self.core.lock().write_inside(set, Some(id), columns);
        self.core.announce();
        written
    }

    /// Removes a row of an entity set, likewise.
    pub fn delete(&self, set: &str, id: Uuid) -> Result<(), Refusal> {
        let deleted = self.core.lock().delete_inside(set, id);
        self.core.announce();
        deleted
    }

    /// A row as it is stored, secrets included.
    #[must_use]
    pub fn row(&self, table: &str, id: Uuid) -> Option<Row> {
        self.core.lock().store.row(table, id).cloned()
    }

    /// All rows of a table in the order of their ids.
    #[must_use]
    pub fn rows(&self, table: &str) -> Vec<(Uuid, Row)> {
        self.core.lock().store.rows(table).map(|(id, row)| (*id, row.clone())).collect()
    }

    /// What solutions contain.
    #[must_use]
    pub fn components(&self) -> Vec<Component> {
        self.core.lock().store.components.iter().cloned().collect()
    }

    /// The journal as far as it is kept, oldest entry first.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.core.lock().journal.since(0).cloned().collect()
    }

    /// Waits for a journal entry, which may be there already, and returns the first that is as wanted.
    pub async fn wait_for_entry(
        &self,
        within: Duration,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Entry, TimedOut> {
        self.wait(within, |state| state.journal.since(0).find(|entry| wanted(entry)).cloned()).await
    }

    /// Waits for a row of a table that is as wanted.
    pub async fn wait_for_row(
        &self,
        table: &str,
        within: Duration,
        wanted: impl Fn(&Row) -> bool,
    ) -> Result<(Uuid, Row), TimedOut> {
        let find = |state: &State| {
            let mut rows = state.store.rows(table);
            rows.find(|(_, row)| wanted(row)).map(|(id, row)| (*id, row.clone()))
        };
        self.wait(within, find).await
    }

    /// Waits until a table is as wanted, given all of its rows.
    pub async fn wait_for_rows(
        &self,
        table: &str,
        within: Duration,
        wanted: impl Fn(&[(Uuid, Row)]) -> bool,
    ) -> Result<Vec<(Uuid, Row)>, TimedOut> {
        let find = |state: &State| {
            let rows: Vec<_> = state.store.rows(table).map(|(id, row)| (*id, row.clone())).collect();
            wanted(&rows).then_some(rows)
        };
        self.wait(within, find).await
    }

    async fn wait<T>(&self, within: Duration, look: impl Fn(&State) -> Option<T>) -> Result<T, TimedOut> {
        let mut news = self.core.news.subscribe();
        let seen = async {
            loop {
                news.mark_unchanged();
                if let Some(found) = look(&self.core.lock()) {
                    return found;
                }
                // The sender lives as long as `self`, so there is always another round.
                if news.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let outcome = tokio::time::timeout(within, seen).await;
        outcome.map_err(|_| TimedOut { within, last: self.journal().pop().map(Box::new) })
    }

    /// Scripts a fault and returns its number, by which the journal calls it.
    #[expect(clippy::must_use_candidate, reason = "few callers want the number")]
    pub fn script(&self, fault: Fault) -> u64 {
        self.core.lock().script.add(fault)
    }

    /// Forgets all faults that are still to come.
    pub fn clear_faults(&self) {
        self.core.lock().script.clear();
    }

    /// Sets other limits.
    pub fn set_limits(&self, limits: Limits) {
        self.core.lock().limits = limits;
    }

    /// How long every answer takes at least, from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.core.lock().latency = latency;
    }

    /// How long users still have their old rights after a change, from the next change on.
    pub fn set_rights_lag(&self, lag: Duration) {
        self.core.lock().rights_lag = lag;
    }

    /// Switches administration mode on or off.
    pub fn set_administration_mode(&self, on: bool) {
        self.core.lock().administration = on;
    }

    /// Switches background operations off, in which system jobs stay ready, or on again.
    pub fn set_background_operations(&self, on: bool) {
        self.core.lock().pipeline.set_background_operations(on);
    }

    /// Switches change tracking of a table on or off.
    pub fn set_change_tracking(&self, table: &str, on: bool) {
        let mut state = self.core.lock();
        if on {
            state.tracked.insert(table.to_owned());
        } else {
            state.tracked.remove(table);
        }
    }

    /// Makes every delta token given out so far expire, as a change of the table's metadata can.
    pub fn expire_delta_tokens(&self) {
        let mut state = self.core.lock();
        state.forgotten = Some(state.store.version());
    }

    /// Secures a column: only administrators see it from now on.
    pub fn secure(&self, table: &str, column: &str) {
        self.core.lock().rights.secured.insert((table.to_owned(), column.to_owned()));
    }

    /// Adds a role, or gives one of that name other privileges.
    pub fn set_role(&self, role: &Role) {
        let organization = self.options.organization;
        self.core.lock().change_rights(Instant::now(), |rights, store| {
            foundation::add_role(store, rights, organization, role, second(clock::now()));
        });
    }

    /// Adds the user of an app, or replaces it.
    pub fn set_application_user(&self, user: &ApplicationUser) {
        let organization = self.options.organization;
        self.core.lock().change_rights(Instant::now(), |_, store| {
            foundation::add_user(store, organization, user, second(clock::now()));
        });
    }
}

impl Drop for Dataverse {
    fn drop(&mut self) {
        self.service.abort();
    }
}
