//! The handle by which a test starts, steers and watches a local Dataverse.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};
use thiserror::Error;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::{
    access::Access,
    commit::{self, Author},
    core::Core,
    facts::Facts,
    faults::Fault,
    foundation,
    journal::Entry,
    limits::Limits,
    options::{ApplicationUser, Options, Role},
    pipeline::{self, Pipeline},
    refusal::Refusal,
    schema,
    state::{State, second},
    store::Component,
    value::Row,
};
use crate::{
    ca::{self, Ca},
    clock,
    graph::Graph,
    web,
};

/// Why an organization could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The certificate could not be made.
    #[error("prepare the certificate of the local Dataverse")]
    Certificate(#[from] ca::Error),
    /// A row of the seed is refused.
    #[error("fill the local Dataverse with its seed: {0}")]
    Seed(String),
    /// The port is taken, or not ours to take.
    #[error("listen on {address} for the local Dataverse")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

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
    core: Arc<Core>,
    options: Options,
    http: SocketAddr,
    https: SocketAddr,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    /// What posts messages.
    service: JoinHandle<()>,
}

impl Dataverse {
    /// Starts an organization whose tenant, and whose authority for tokens, is `graph`.
    pub async fn start(options: Options, ca: &Ca, graph: &Arc<Graph>) -> Result<Self, StartError> {
        let (store, rights) = foundation::lay(&options, second(clock::now()));
        let mut state =
            State::new(facts(&options, graph), store, rights, Pipeline::new(options.pipeline.clone()));
        let seed = &options.seed;
        for (set, rows) in
            [("contacts", &seed.contacts), ("adx_externalidentities", &seed.external_identities)]
        {
            for row in rows {
                write(&mut state, set, None, row).map_err(|refusal| StartError::Seed(refusal.message))?;
            }
        }
        Self::serve(options, state, ca, graph).await
    }

    /// Starts a copy of this organization under another id: rows, rights and registration are there, tokens of change
    /// tracking are not, and nothing that happens to one happens to the other.
    pub async fn start_copy(
        &self,
        options: Options,
        ca: &Ca,
        graph: &Arc<Graph>,
    ) -> Result<Self, StartError> {
        let state = {
            let original = self.core.lock();
            let mut store = original.store.clone();
            let was = original.facts.pipeline.organization;
            if let Some(mut row) = store.remove("organization", was) {
                let key = super::value::Value::Guid(options.organization);
                row.insert("organizationid".to_owned(), key);
                store.put("organization", options.organization, row);
            }
            let mut state = State::new(
                facts(&options, graph),
                store,
                original.rights.clone(),
                Pipeline::new(options.pipeline.clone()),
            );
            state.facts.pipeline.business_unit = original.facts.pipeline.business_unit;
            state.tracked.clone_from(&original.tracked);
            state.forgotten = Some(state.store.version());
            state
        };
        Self::serve(options, state, ca, graph).await
    }

    async fn serve(
        options: Options,
        mut state: State,
        ca: &Ca,
        graph: &Arc<Graph>,
    ) -> Result<Self, StartError> {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        names.extend(options.names.iter().cloned());
        let mut tls = (*ca.server_config(&names)?).clone();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let bind =
            async |address| web::bind(address).await.map_err(|source| StartError::Listen { address, source });
        let (plain, http) = bind(options.http).await?;
        let (secure, https) = bind(options.https).await?;
        for host in ["localhost", "127.0.0.1"] {
            graph.add_environment(&format!("http://{host}:{}", http.port()));
            graph.add_environment(&format!("https://{host}:{}", https.port()));
        }
        for name in &options.names {
            graph.add_environment(&format!("https://{name}"));
            graph.add_environment(&format!("https://{name}:{}", https.port()));
        }
        state.limits = options.limits;
        state.latency = options.latency;
        let pipeline = state.pipeline.clone();
        let core = Arc::new(Core::new(state, ca.pem(), Arc::clone(graph)));
        let store: Arc<dyn pipeline::Store> = Arc::clone(&core) as _;
        let service = tokio::spawn(pipeline.run(Arc::downgrade(&store)));
        let (stop, stopped) = watch::channel(false);
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listeners = vec![
            tokio::spawn(web::listen(plain, None, Arc::clone(&core), stopped.clone())),
            tokio::spawn(web::listen(secure, Some(acceptor), Arc::clone(&core), stopped)),
        ];
        Ok(Self { core, options, http, https, stop, listeners, service })
    }

    /// `http://127.0.0.1:port`: the organization's URL.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// `https://localhost:port`: the same over TLS.
    #[must_use]
    pub fn https_url(&self) -> String {
        format!("https://localhost:{}", self.https.port())
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
        self.stop.send_replace(true);
        for listener in self.listeners.drain(..) {
            if let Err(error) = listener.await {
                tracing::warn!(%error, "a listener of the local Dataverse had failed");
            }
        }
    }

    /// Makes or changes a contact as a person in the app would, through the same commit and the same pipeline.
    /// `columns` are in the form of the Web API.
    pub fn write_contact(&self, id: Uuid, columns: &Map<String, Json>) -> Result<(), Refusal> {
        self.write("contacts", id, columns)
    }

    /// The same for a row of any entity set.
    pub fn write(&self, set: &str, id: Uuid, columns: &Map<String, Json>) -> Result<(), Refusal> {
        let written = write(&mut self.core.lock(), set, Some(id), columns);
        self.core.announce();
        written.map(|_| ())
    }

    /// Removes a row of an entity set, likewise.
    pub fn delete(&self, set: &str, id: Uuid) -> Result<(), Refusal> {
        let deleted = {
            let mut state = self.core.lock();
            let author = platform(&state);
            let table = schema::by_set(set).ok_or_else(|| Refusal::unknown_segment(set))?;
            state.begin();
            match commit::delete(&mut state.store, table, id, &author) {
                Ok(written) => {
                    state.written.extend(written);
                    state.commit();
                    Ok(())
                }
                Err(refusal) => {
                    state.roll_back();
                    Err(refusal)
                }
            }
        };
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
        self.stop.send_replace(true);
        self.service.abort();
    }
}

fn facts(options: &Options, graph: &Graph) -> Facts {
    Facts {
        pipeline: pipeline::Facts {
            organization: options.organization,
            unique_name: options.unique_name.clone(),
            business_unit: foundation::business_unit(options.organization),
            host: options.host.clone(),
        },
        friendly_name: options.friendly_name.clone(),
        kind: options.kind.clone(),
        environment: foundation::named(options.organization, "environment"),
        tenant: graph.tenant().id,
    }
}

/// The platform as an author.
fn platform(state: &State) -> Author {
    Author {
        user: foundation::system_user(state.facts.pipeline.organization),
        user_agent: "local".to_owned(),
        tag: None,
        at: second(clock::now()),
        request: Uuid::new_v4(),
        bypass: false,
        sets_state: true,
    }
}

/// Makes or changes a row past all rights, with everything that goes along with a write.
fn write(
    state: &mut State,
    set: &str,
    id: Option<Uuid>,
    columns: &Map<String, Json>,
) -> Result<Uuid, Refusal> {
    let author = platform(state);
    let table = schema::by_set(set).ok_or_else(|| Refusal::unknown_segment(set))?;
    let mut target = state.payload(&Access::system(author.user), table, columns)?;
    state.begin();
    let written = match id {
        Some(id) if state.store.row(table.name, id).is_some() => {
            commit::update(&mut state.store, table, id, target, &author)
        }
        _ => {
            if let Some(id) = id {
                target.insert(table.key.to_owned(), super::value::Value::Guid(id));
            }
            commit::create(&mut state.store, table, target, &author)
        }
    };
    match written {
        Ok(written) => {
            let id = written.id;
            state.written.push(written);
            state.commit();
            Ok(id)
        }
        Err(refusal) => {
            state.roll_back();
            Err(refusal)
        }
    }
}
