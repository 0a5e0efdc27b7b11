//! Everything that changes while the servers run, behind one lock that is never held while waiting.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    access::{Access, Rights},
    call::{Call, Preferences},
    commit::Author,
    facts::Facts,
    faults::Script,
    journal::Journal,
    limits::{Limits, Usage},
    paging::Cookies,
    pipeline::Pipeline,
    present::Eye,
    query::Options,
    refusal::Refusal,
    schema,
    store::Store,
    value::Value,
    written::Written,
};
use crate::clock;

/// The state of one organization.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) facts: Facts,
    pub(crate) store: Store,
    pub(crate) rights: Rights,
    /// How long users still have their old rights after a change.
    pub(crate) rights_lag: Duration,
    /// Tables whose changes are tracked.
    pub(crate) tracked: BTreeSet<String>,
    /// Delta tokens up to this version have expired, whatever their date.
    pub(crate) forgotten: Option<i64>,
    /// Whether only administrators are let in.
    pub(crate) administration: bool,
    pub(crate) latency: Duration,
    pub(crate) limits: Limits,
    pub(crate) usage: Usage,
    pub(crate) cookies: Cookies,
    pub(crate) script: Script,
    pub(crate) journal: Journal,
    pub(crate) pipeline: Pipeline,
    /// Writes of the transaction that is open.
    pub(crate) written: Vec<Written>,
    /// What `$1` and so on stand for within the change set that is carried out.
    pub(crate) references: BTreeMap<String, String>,
}

/// A request of a caller who was let in.
pub(crate) struct Asked<'a> {
    pub(crate) call: &'a Call,
    pub(crate) access: Access,
    pub(crate) preferences: Preferences,
    pub(crate) options: Options,
    pub(crate) request: Uuid,
}

impl Asked<'_> {
    /// The body as a JSON object.
    pub(crate) fn object(&self) -> Result<Map<String, Json>, Refusal> {
        serde_json::from_slice(&self.call.body).map_err(|error| {
            let message = format!("Error identified in Payload provided by the user: {error}");
            Refusal::bad_request(0x8004_8d19, message)
        })
    }

    pub(crate) fn author(&self) -> Author {
        Author {
            user: self.access.user,
            user_agent: self.call.header("user-agent").unwrap_or_default().to_owned(),
            tag: self.options.get("tag").map(str::to_owned),
            at: second(clock::now()),
            request: self.request,
            bypass: self.call.bypasses(),
            sets_state: false,
        }
    }
}

/// A moment without its fraction, as the database stores it.
pub(crate) fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

impl State {
    pub(crate) fn new(facts: Facts, store: Store, rights: Rights, pipeline: Pipeline) -> Self {
        Self {
            facts,
            store,
            rights,
            rights_lag: Duration::ZERO,
            tracked: ["contact", "adx_externalidentity"].map(str::to_owned).into(),
            forgotten: None,
            administration: false,
            latency: Duration::ZERO,
            limits: Limits::default(),
            usage: Usage::default(),
            cookies: Cookies::default(),
            script: Script::default(),
            journal: Journal::default(),
            pipeline,
            written: Vec::new(),
            references: BTreeMap::new(),
        }
    }

    pub(crate) fn eye<'a>(&'a self, asked: &'a Asked<'_>) -> Eye<'a> {
        Eye { store: &self.store, access: &asked.access, preferences: &asked.preferences }
    }

    pub(crate) fn is_tracked(&self, table: &schema::Table) -> bool {
        self.tracked.contains(table.name)
    }

    pub(crate) fn begin(&mut self) {
        self.store.begin();
        self.written.clear();
    }

    /// Makes what was done last, and lets the pipeline know.
    pub(crate) fn commit(&mut self) {
        self.store.commit();
        for written in std::mem::take(&mut self.written) {
            let (pipeline, facts) = (&self.pipeline, &self.facts.pipeline);
            self.store.edit_jobs(|tables| pipeline.committed(tables, facts, &written));
        }
    }

    pub(crate) fn roll_back(&mut self) {
        self.store.roll_back();
        self.written.clear();
    }

    /// For how many days a delta token is good.
    pub(crate) fn token_days(&self) -> i64 {
        match self
            .store
            .row("organization", self.facts.pipeline.organization)
            .and_then(|row| row.get("expirechangetrackingindays"))
        {
            Some(Value::Int(days)) => i64::from(*days),
            _ => 7,
        }
    }

    /// Changes rights; users notice when the cache has caught up.
    pub(crate) fn change_rights(&mut self, now: Instant, change: impl FnOnce(&mut Rights, &mut Store)) {
        if !self.rights_lag.is_zero() {
            self.rights.hold(&self.store, now + self.rights_lag);
        }
        change(&mut self.rights, &mut self.store);
    }
}
