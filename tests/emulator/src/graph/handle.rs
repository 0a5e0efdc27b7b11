//! The handle by which a test starts, steers and watches a local Graph.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Change,
    core::Core,
    directory::AddError,
    faults::Fault,
    journal::{Counters, Entry},
    options::{Clocks, Options, Tenant, Throttle},
    refusal::Refusal,
    state::State,
    throttle::{Level, Quota},
    token::{App, Audience, Grant},
    user::User,
};
use crate::{
    ca::Ca,
    listeners::{BoundPorts, ListenError, Listeners},
};

/// Names that clients may know the servers by, when a test redirects Microsoft's hosts to this machine.
const NAMES: [&str; 5] =
    ["localhost", "127.0.0.1", "::1", "graph.microsoft.com", "login.microsoftonline.com"];

/// Why the servers could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// There are no ports for it.
    #[error("open the ports of the local Graph")]
    Listen(#[from] ListenError),
    /// Two users of the seed claim the same name.
    #[error("fill the local Graph with its seed")]
    Seed(#[from] AddError),
}

/// What was waited for did not come.
#[derive(Debug, Error)]
#[error("nothing of the kind within {within:?}; so far {counters:?}")]
pub struct TimedOut {
    /// How long the wait was.
    pub within: Duration,
    /// What had happened until then.
    pub counters: Counters,
}

/// A running local Graph with its token endpoint. Dropping it stops it.
#[derive(Debug)]
pub struct Graph {
    core: Arc<Core>,
    listeners: Listeners,
}

impl Graph {
    /// Starts both listeners with a certificate authority made for the occasion.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_with_ca(options, &Ca::new().map_err(ListenError::from)?).await
    }

    /// Starts both listeners with a certificate authority that other servers share.
    pub async fn start_with_ca(options: Options, ca: &Ca) -> Result<Self, StartError> {
        let mut names: Vec<String> = NAMES.map(str::to_owned).into();
        names.extend(options.names.iter().cloned());
        let ports = BoundPorts::bind([options.http, options.https], &names, ca).await?;
        let state = State::new(&options, Instant::now())?;
        let core = Arc::new(Core::new(state, options, ca.pem()));
        let listeners = ports.serve(&core);
        Ok(Self { core, listeners })
    }

    /// `http://127.0.0.1:port`: the authority, and with `/v1.0` the root of Graph.
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

    /// Time since the start, by which the journal tells when something happened.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.core.lock().age(Instant::now())
    }

    /// The tenant that lives here.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        self.core.lock().directory.tenant.clone()
    }

    /// Stops listening, drops every connection and returns when no new one can be made.
    pub async fn stop(mut self) {
        self.listeners.stop().await;
    }

    /// Adds a user, or replaces the one of the same id.
    pub fn add_user(&self, user: User) -> Result<(), AddError> {
        let added = {
            let mut state = self.core.lock();
            let visible_from = Instant::now() + state.visible_after;
            state.directory.add(user, visible_from)
        };
        self.core.announce();
        added
    }

    /// A user as it is now, whatever reads may still show; deleted ones included.
    #[must_use]
    pub fn user(&self, id: Uuid) -> Option<User> {
        self.core.lock().directory.get(id).cloned()
    }

    /// All users, deleted ones included, in the order of their arrival.
    #[must_use]
    pub fn users(&self) -> Vec<User> {
        self.core.lock().directory.all().cloned().collect()
    }

    /// Writes to a user as somebody else would, past permissions, quota and journal.
    ///
    /// # Panics
    ///
    /// If the directory refuses the write: then the test is wrong.
    #[expect(clippy::must_use_candidate, reason = "few callers want the changes")]
    pub fn write_user(&self, id: Uuid, properties: Map<String, Value>) -> Vec<Change> {
        let written = self.core.lock().directory.patch(id, properties, Instant::now());
        self.core.announce();
        written.unwrap_or_else(|Refusal { message, .. }| panic!("the directory refuses the write: {message}"))
    }

    /// Puts a user into the bin: calls answer 404, its addresses stay taken. False if there is none.
    #[expect(clippy::must_use_candidate, reason = "a caller knows whom it added")]
    pub fn delete_user(&self, id: Uuid) -> bool {
        self.core.lock().directory.delete(id)
    }

    /// Removes a user for good. False if there is none.
    #[expect(clippy::must_use_candidate, reason = "a caller knows whom it added")]
    pub fn purge_user(&self, id: Uuid) -> bool {
        self.core.lock().directory.purge(id)
    }

    /// The journal as far as it is kept, oldest entry first.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.journal_since(0)
    }

    /// The entries after the given number.
    #[must_use]
    pub fn journal_since(&self, number: u64) -> Vec<Entry> {
        self.core.lock().journal.since(number).cloned().collect()
    }

    /// The totals.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.core.lock().journal.counters
    }

    /// Waits until the totals are as wanted, and returns them.
    pub async fn wait_for_counters(
        &self,
        within: Duration,
        wanted: impl Fn(&Counters) -> bool,
    ) -> Result<Counters, TimedOut> {
        self.wait(within, |state| Some(state.journal.counters).filter(&wanted)).await
    }

    /// Waits for a journal entry, which may be there already, and returns the first that is as wanted.
    pub async fn wait_for_entry(
        &self,
        within: Duration,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Entry, TimedOut> {
        self.wait(within, |state| state.journal.since(0).find(|entry| wanted(entry)).cloned()).await
    }

    /// Waits until a user is as wanted, and returns it.
    pub async fn wait_for_user(
        &self,
        id: Uuid,
        within: Duration,
        wanted: impl Fn(&User) -> bool,
    ) -> Result<User, TimedOut> {
        self.wait(within, |state| state.directory.get(id).filter(|user| wanted(user)).cloned()).await
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
        outcome.map_err(|_| TimedOut { within, counters: self.counters() })
    }

    /// How long every answer takes at least, from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.core.lock().latency = latency;
    }

    /// For how long reads may show what was there before a write, from the next write on.
    pub fn set_stale_reads(&self, lag: Duration) {
        self.core.lock().directory.lag = lag;
    }

    /// For how long users added from now on answer 404.
    pub fn set_visible_after(&self, delay: Duration) {
        self.core.lock().visible_after = delay;
    }

    /// How long tokens issued from now on are good.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.core.lock().tokens.lifetime = lifetime;
    }

    /// How far the clocks of Graph and of the authority are from this machine's, from now on.
    pub fn set_clocks(&self, clocks: Clocks) {
        self.core.lock().clocks = clocks;
    }

    /// Goes back to the seed, clears faults, journal and totals, and fills the quota. Tokens stay good.
    pub fn reset(&self) -> Result<(), AddError> {
        let reset = self.core.lock().reset(&self.core.options, Instant::now());
        self.core.announce();
        reset
    }

    /// Scripts a fault and returns its number, by which the journal calls it.
    #[expect(clippy::must_use_candidate, reason = "few callers want the number")]
    pub fn script(&self, fault: Fault) -> u64 {
        self.core.lock().script.add(fault, Instant::now())
    }

    /// The faults that are still to come.
    #[must_use]
    pub fn pending_faults(&self) -> Vec<(u64, Fault)> {
        self.core.lock().script.pending().map(|(number, fault)| (number, fault.clone())).collect()
    }

    /// Lets the calls go on that [`Fault::hold`] holds back, and ends those faults.
    pub fn release(&self) {
        self.core.release();
    }

    /// How many calls are held back now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.core.held()
    }

    /// Forgets all faults that are still to come.
    pub fn clear_faults(&self) {
        self.core.lock().script.clear();
    }

    /// Sets another quota; all its buckets begin full.
    pub fn set_throttle(&self, throttle: Throttle) {
        let mut state = self.core.lock();
        state.quota = Quota::new(throttle, state.directory.tenant.clone(), Instant::now());
    }

    /// Uses up writes of an app's own quota, as another replica would.
    pub fn drain_app(&self, app: Uuid, writes: u32) {
        self.core.lock().quota.drain_app(app, writes, Instant::now());
    }

    /// Uses up writes of the tenant's quota, as other apps would.
    pub fn drain_tenant(&self, writes: u32) {
        self.core.lock().quota.drain_tenant(writes, Instant::now());
    }

    /// The buckets of the quota as they stood at their last use.
    #[must_use]
    pub fn quota(&self) -> Vec<Level> {
        self.core.lock().quota.levels()
    }

    /// Adds `refresh_in`, a hint to renew early, to tokens issued from now on, or leaves it out.
    pub fn set_token_refresh_in(&self, hint: Option<Duration>) {
        self.core.lock().tokens.refresh_in = hint;
    }

    /// Makes every token issued so far worthless.
    pub fn revoke_tokens(&self) {
        self.core.lock().tokens.revoke();
    }

    /// The same, with a claims challenge in the 401.
    pub fn revoke_tokens_with_challenge(&self) {
        self.core.lock().tokens.revoke_with_challenge();
    }

    /// Changes an app: its secrets, its permissions, whether it is disabled. False if there is none.
    pub fn edit_app(&self, id: Uuid, edit: impl FnOnce(&mut App)) -> bool {
        self.core.lock().tokens.apps.get_mut(&id).map(edit).is_some()
    }

    /// Lets tokens be issued for a Dataverse environment of this machine, by its origin.
    pub fn add_environment(&self, origin: &str) {
        self.core.lock().tokens.environments.insert(origin.trim_end_matches('/').to_owned());
    }

    /// What stands behind an access token that is good now and opens `audience`.
    #[must_use]
    pub fn look_up_token(&self, token: &str, audience: Audience) -> Option<Grant> {
        let grant = self.core.lock().tokens.look_up(token, Instant::now())?;
        (grant.audience == audience).then(|| (*grant).clone())
    }
}
