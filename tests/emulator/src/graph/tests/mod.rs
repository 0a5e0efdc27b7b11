//! The servers as a client sees them.

mod batch;
pub(crate) mod client;
mod faults;
mod inspection;
mod lists;
mod throttling;
mod tokens;
mod uniqueness;
mod users;

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{Graph, Identity, Options, User};

/// Long enough for a busy machine; reached only when something is wrong.
const SOON: Duration = Duration::from_mins(5);

const ADA: Uuid = Uuid::from_u128(0xada);
const BOB: Uuid = Uuid::from_u128(0xb0b);

/// A tenant with two users.
async fn started(options: Options) -> Graph {
    let graph = Graph::start(options).await.unwrap();
    let ada = User::new(ADA).with("givenName", "Ada").with("mail", "ada@example.test");
    graph.add_user(ada.with_identity(Identity::email("ada@example.test"))).unwrap();
    let bob = User::new(BOB).with("businessPhones", json!(["1"]));
    graph.add_user(bob.with_identity(Identity::email("bob@example.test"))).unwrap();
    graph
}

fn path(id: Uuid) -> String {
    format!("/v1.0/users/{id}")
}
