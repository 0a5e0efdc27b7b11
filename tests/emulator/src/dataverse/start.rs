//! Starting an organization, from its seed or as a copy of another.

use std::sync::Arc;

use thiserror::Error;

use super::{
    core::Core,
    facts::Facts,
    foundation,
    handle::Dataverse,
    options::Options,
    pipeline::{self, Pipeline},
    state::{State, second},
    value::Value,
};
use crate::{
    ca::Ca,
    clock,
    graph::Graph,
    listeners::{BoundPorts, ListenError},
};

/// Why an organization could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// There are no ports for it.
    #[error("open the ports of the local Dataverse")]
    Listen(#[from] ListenError),
    /// A row of the seed is refused.
    #[error("fill the local Dataverse with its seed: {0}")]
    Seed(String),
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
                let written = state.write_inside(set, None, row);
                written.map_err(|refusal| StartError::Seed(refusal.message))?;
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
                let key = Value::Guid(options.organization);
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
            state.facts.system_user = original.facts.system_user;
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
        let ports = BoundPorts::bind([options.http, options.https], &names, ca).await?;
        let (http, https) = (ports.http, ports.https);
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
        let listeners = ports.serve(&core);
        Ok(Self { core, options, listeners, service })
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
        system_user: foundation::system_user(options.organization),
        friendly_name: options.friendly_name.clone(),
        kind: options.kind.clone(),
        environment: foundation::named(options.organization, "environment"),
        tenant: graph.tenant().id,
    }
}
