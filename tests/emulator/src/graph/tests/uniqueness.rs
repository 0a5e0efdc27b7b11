//! Names that only one user can have, permissions that only some apps have.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{ADA, BOB, client::Client, path, started};
use crate::graph::{AddError, DEFAULT_CLIENT_ID, Graph, Identity, Options, Profile, User};

/// The list of a user with its first e-mail replaced.
async fn renamed(client: &mut Client, id: Uuid, address: &str) -> Value {
    let read = client.get(&format!("{}?$select=identities", path(id))).await;
    let mut list = read.json()["identities"].clone();
    list[0]["issuerAssignedId"] = json!(address);
    json!({ "identities": list })
}

#[tokio::test]
async fn a_sign_in_address_is_changed_by_read_edit_and_write() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let body = renamed(&mut client, ADA, "ada@new.test").await;
    assert_eq!(client.patch(&path(ADA), &body).await.status, 204);
    let user = graph.user(ADA).unwrap();
    assert_eq!(user.sign_in_addresses().collect::<Vec<_>>(), ["ada@new.test"]);
    assert_eq!(user.identities.len(), 2, "the principal name is still there");
    // The old address is free again.
    let body = renamed(&mut client, BOB, "ada@example.test").await;
    assert_eq!(client.patch(&path(BOB), &body).await.status, 204);
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_that_names_property_and_owner() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let identities = renamed(&mut client, BOB, "ADA@Example.test").await;
    for (body, property) in [
        (identities, "identities"),
        (json!({"mail": "ADA@example.test"}), "proxyAddresses"),
        (json!({"userPrincipalName": format!("{ADA}@contoso.onmicrosoft.com")}), "userPrincipalName"),
    ] {
        let before = graph.user(BOB);
        let answer = client.patch(&path(BOB), &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "Request_BadRequest"));
        let error = &answer.json()["error"];
        let message = format!("Another object with the same value for property {property} already exists.");
        assert_eq!(error["message"], json!(message));
        assert_eq!(error["details"][0]["code"], "ObjectConflict");
        assert_eq!(error["details"][1]["code"], "ConflictingObjects");
        assert_eq!(answer.targets(), [property.to_owned(), format!("User_{ADA}")]);
        assert_eq!(graph.user(BOB), before);
    }
}

#[tokio::test]
async fn deleted_users_keep_their_names_and_purged_ones_do_not() {
    let graph = started(Options { profile: Profile::ExternalId, ..Options::default() }).await;
    let mut client = Client::new(&graph).await;
    graph.delete_user(ADA);
    assert_eq!(client.patch(&path(BOB), &json!({"mail": "ada@example.test"})).await.status, 400);
    graph.purge_user(ADA);
    assert_eq!(client.patch(&path(BOB), &json!({"mail": "ada@example.test"})).await.status, 204);
    let clash = User::new(ADA).with("mail", "ADA@example.test");
    assert_eq!(graph.add_user(clash), Err(AddError::Taken { id: ADA, name: "proxyAddresses", owner: BOB }));
}

#[tokio::test]
async fn the_principal_name_follows_its_identity_and_the_other_way_round() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let mut list =
        client.get(&format!("{}?$select=identities", path(ADA))).await.json()["identities"].clone();
    list[1]["issuerAssignedId"] = json!("ada@contoso.onmicrosoft.com");
    assert_eq!(client.patch(&path(ADA), &json!({ "identities": list })).await.status, 204);
    assert_eq!(graph.user(ADA).unwrap().text("userPrincipalName"), Some("ada@contoso.onmicrosoft.com"));
    let upn = "countess@contoso.onmicrosoft.com";
    assert_eq!(client.patch(&path(ADA), &json!({"userPrincipalName": upn})).await.status, 204);
    assert_eq!(graph.user(ADA).unwrap().identities[1].issuer_assigned_id, upn);
    assert_eq!(client.get("/v1.0/users/countess@contoso.onmicrosoft.com").await.status, 200);
    assert_eq!(client.patch(&path(ADA), &json!({"userPrincipalName": "ada@other.test"})).await.status, 400);
}

#[tokio::test]
async fn a_social_only_user_can_be_given_an_address_but_no_sign_in() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let social = Uuid::from_u128(0x50c);
    graph.add_user(User::new(social).with_identity(Identity::federated("google.com", "118"))).unwrap();
    let read = client.get(&format!("{}?$select=identities", path(social))).await.json();
    let mut list = read["identities"].as_array().unwrap().clone();
    list.push(json!({"signInType": "emailAddress", "issuer": graph.tenant().domain, "issuerAssignedId": "s@b.test"}));
    let answer = client.patch(&path(social), &json!({ "identities": list })).await;
    assert_eq!((answer.status, answer.targets()), (400, vec!["identities".to_owned()]));
    assert_eq!(client.patch(&path(social), &json!({"otherMails": ["s@b.test"]})).await.status, 204);
}

async fn with_roles(graph: &Graph, roles: &[&str]) -> Client {
    graph
        .edit_app(DEFAULT_CLIENT_ID, |app| app.roles = roles.iter().map(|role| (*role).to_owned()).collect());
    Client::new(graph).await
}

#[tokio::test]
async fn every_property_needs_its_permission() {
    let graph = started(Options::default()).await;
    let names = renamed(&mut Client::new(&graph).await, ADA, "ada@new.test").await;
    let city = json!({"city": "Oslo"});
    let phone = json!({"mobilePhone": "1"});
    let other = json!({"otherMails": ["a@b.test"]});
    for (roles, body, status) in [
        (vec!["User.ReadWrite.All"], &city, 204),
        (vec!["User.ReadWrite.All"], &phone, 204),
        (vec!["User.ReadWrite.All"], &names, 403),
        (vec!["User.ManageIdentities.All"], &city, 403),
        (vec!["User.ManageIdentities.All"], &names, 204),
        (vec!["User.ReadUpdate.All"], &city, 204),
        (vec!["User.ReadUpdate.All"], &phone, 403),
        (vec!["User-Phone.ReadWrite.All"], &phone, 204),
        (vec!["User-Mail.ReadWrite.All"], &other, 204),
        (vec!["User.Read.All"], &city, 403),
    ] {
        let mut client = with_roles(&graph, &roles).await;
        let answer = client.patch(&path(ADA), body).await;
        assert_eq!(answer.status, status, "{roles:?} {body}");
        assert!(status == 204 || answer.code() == "Authorization_RequestDenied");
    }
    assert_eq!(with_roles(&graph, &["User.Read.All"]).await.get(&path(ADA)).await.status, 200);
    assert_eq!(with_roles(&graph, &[]).await.get(&path(ADA)).await.status, 403);
}

#[tokio::test]
async fn a_new_permission_appears_in_new_tokens_only() {
    let graph = started(Options::default()).await;
    let mut old = with_roles(&graph, &["User.Read.All"]).await;
    let mut new = with_roles(&graph, &["User.ReadWrite.All"]).await;
    assert_eq!(old.patch(&path(ADA), &json!({"city": "Oslo"})).await.status, 403);
    assert_eq!(new.patch(&path(ADA), &json!({"city": "Oslo"})).await.status, 204);
}

#[tokio::test]
async fn an_administrators_phone_needs_a_directory_role() {
    let graph = started(Options::default()).await;
    let admin = Uuid::from_u128(0xad);
    graph.add_user(User::new(admin).administrator()).unwrap();
    let mut client = Client::new(&graph).await;
    assert_eq!(client.patch(&path(admin), &json!({"city": "Oslo"})).await.status, 204);
    assert_eq!(client.patch(&path(admin), &json!({"city": "Rome", "mobilePhone": "1"})).await.status, 403);
    assert_eq!(graph.user(admin).unwrap().text("city"), Some("Oslo"));
    graph.edit_app(DEFAULT_CLIENT_ID, |app| app.directory_role = true);
    let mut client = Client::new(&graph).await;
    assert_eq!(client.patch(&path(admin), &json!({"mobilePhone": "1"})).await.status, 204);
}
