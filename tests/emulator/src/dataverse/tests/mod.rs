//! An organization as a client sees it.

mod access;
mod api;
mod batch;
mod faults;
mod filters;
mod lists;
mod metadata;
mod registration;
mod tracking;
mod writes;

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{ApplicationUser, Dataverse, Options, Privileges, Role};
use crate::{
    ca::Ca,
    graph::{self, Graph},
};
use api::Api;

/// Long enough for a busy machine; reached only when something is wrong.
const SOON: Duration = Duration::from_mins(5);

const ADA: Uuid = Uuid::from_u128(0xada);
const BOB: Uuid = Uuid::from_u128(0xb0b);

/// An app beside the one that is an administrator.
const READER: Uuid = Uuid::from_u128(0x4ead);

/// An organization, its authority, and a client who may do everything.
struct House {
    graph: Arc<Graph>,
    dataverse: Dataverse,
    api: Api,
}

async fn started() -> House {
    started_with(Options::default()).await
}

async fn started_with(options: Options) -> House {
    let ca = Ca::new().unwrap();
    let reader = graph::App { id: READER, ..graph::App::default() };
    let apps = vec![graph::App::default(), reader];
    let graph = graph::Options { apps, ..graph::Options::default() };
    let graph = Arc::new(Graph::start_with_ca(graph, &ca).await.unwrap());
    let dataverse = Dataverse::start(options, &ca, &graph).await.unwrap();
    let api = Api::new(&graph, &dataverse, graph::DEFAULT_CLIENT_ID).await;
    House { graph, dataverse, api }
}

impl House {
    /// A client whose app has a user with these privileges.
    async fn reader(&self, privileges: Privileges) -> Api {
        self.dataverse.set_role(&Role { name: "reader".to_owned(), privileges });
        self.dataverse.set_application_user(&ApplicationUser::new(READER, &["reader"]));
        Api::new(&self.graph, &self.dataverse, READER).await
    }

    fn contact(&self, id: Uuid, columns: &Json) {
        self.dataverse.write_contact(id, &object(columns)).unwrap();
    }
}

fn object(json: &Json) -> Map<String, Json> {
    json.as_object().cloned().unwrap_or_default()
}

/// Contacts with ids from 1, all called by their number.
fn contacts(dataverse: &Dataverse, count: u128) {
    for number in 1..=count {
        let columns =
            json!({ "lastname": format!("{number:04}"), "adx_identity_username": format!("u{number}") });
        dataverse.write_contact(Uuid::from_u128(number), &object(&columns)).unwrap();
    }
}
