//! The authentication methods by e-mail.

use serde_json::json;

use super::{ADA, BOB, client::Client, path, started};
use crate::graph::{DEFAULT_CLIENT_ID, Options, User};

const ID: &str = "3ddfcfc8-9383-446f-83cc-3ab9be4be18f";

#[tokio::test]
async fn a_user_has_one_at_most_which_is_listed_added_changed_and_deleted() {
    let graph = started(Options::default()).await;
    graph.edit_app(DEFAULT_CLIENT_ID, |app| {
        app.roles.insert("UserAuthenticationMethod.ReadWrite.All".to_owned());
    });
    let mut client = Client::new(&graph).await;
    let all = format!("{}/authentication/emailMethods", path(ADA));
    let one = format!("{all}/{ID}");
    let address = |address: &str| json!({ "emailAddress": address });
    assert_eq!(client.get(&all).await.json(), json!({ "value": [] }));
    for status in [client.get(&one).await.status, client.patch(&one, &address("a@b.test")).await.status] {
        assert_eq!(status, 404);
    }
    assert_eq!(client.post(&all, &address("a@b.test")).await.status, 201);
    assert_eq!(client.post(&all, &address("c@d.test")).await.status, 400);
    let shown = json!({ "id": ID, "emailAddress": "a@b.test" });
    assert_eq!(client.get(&all).await.json(), json!({ "value": [shown] }));
    assert_eq!(client.patch(&one, &address("c@d.test")).await.status, 204);
    assert_eq!(client.patch(&one, &address("none")).await.status, 400);
    assert_eq!(client.get(&one).await.json()["emailAddress"], "c@d.test");
    assert_eq!(graph.user(ADA).unwrap().reset_email.as_deref(), Some("c@d.test"));
    assert_eq!(client.call("DELETE", &one, &json!({})).await.status, 204);
    assert_eq!(graph.user(ADA).unwrap().reset_email, None);
}

#[tokio::test]
async fn they_take_a_permission_of_their_own_and_those_of_administrators_a_role() {
    let graph = started(Options::default()).await;
    let all = format!("{}/authentication/emailMethods", path(BOB));
    let one = format!("{all}/{ID}");
    let bob = graph.user(BOB).unwrap();
    graph.add_user(User { admin: true, ..bob.with_reset_email("b@b.test") }).unwrap();
    for (role, read, write) in [
        ("User.ReadWrite.All", 403, 403),
        ("UserAuthenticationMethod.Read.All", 200, 403),
        ("UserAuthenticationMethod.ReadWrite.All", 200, 403),
    ] {
        graph.edit_app(DEFAULT_CLIENT_ID, |app| app.roles = [role.to_owned()].into());
        let mut client = Client::new(&graph).await;
        assert_eq!(client.get(&all).await.status, read, "{role}");
        assert_eq!(client.patch(&one, &json!({ "emailAddress": "c@d.test" })).await.status, write, "{role}");
    }
    graph.edit_app(DEFAULT_CLIENT_ID, |app| app.directory_role = true);
    let mut client = Client::new(&graph).await;
    assert_eq!(client.patch(&one, &json!({ "emailAddress": "c@d.test" })).await.status, 204);
}
