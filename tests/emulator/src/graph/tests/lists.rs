//! Reading many users, creating and deleting them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ADA, BOB,
    client::{Answer, Client},
    path, started,
};
use crate::graph::{Graph, Options, User};

fn ids(answer: &Answer) -> Vec<Uuid> {
    let json = answer.json();
    let values = json["value"].as_array().cloned().unwrap_or_default();
    values.iter().filter_map(|user| user["id"].as_str()?.parse().ok()).collect()
}

async fn filter(client: &mut Client, text: &str) -> Answer {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    client.get(&format!("/v1.0/users?$filter={encoded}")).await
}

#[tokio::test]
async fn filters_find_users_by_id_sign_in_name_and_property() {
    const EXTENSION: &str = "extension_0123456789abcdef0123456789abcdef_contact";
    let mut options = Options::default();
    options.extensions.push(EXTENSION.to_owned());
    let graph = started(options).await;
    let numbered = json!({"extensionAttribute7": "It's Cy's"});
    for number in [7, 8] {
        let user = User::new(Uuid::from_u128(number)).with("onPremisesExtensionAttributes", numbered.clone());
        graph.add_user(user.with(EXTENSION, format!("contact {number}"))).unwrap();
    }
    let (cy, di) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let mut client = Client::new(&graph).await;
    let domain = graph.tenant().domain;
    let principal = graph.user(ADA).unwrap().text("userPrincipalName").unwrap().to_owned();
    let sign_in = |address: &str| {
        format!("identities/any(c:c/issuerAssignedId eq '{address}' and c/issuer eq '{domain}')")
    };
    for (text, found) in [
        (format!("id in ('{BOB}','{}','{ADA}')", Uuid::nil()), vec![BOB, ADA]),
        (sign_in("ADA@example.test"), vec![ADA]),
        (sign_in("nobody@example.test"), vec![]),
        (sign_in(&principal), vec![]),
        ("onPremisesExtensionAttributes/extensionAttribute7 eq 'it''s cy''s'".to_owned(), vec![cy, di]),
        ("onPremisesExtensionAttributes/extensionAttribute8 eq 'it''s cy''s'".to_owned(), vec![]),
        (format!("{EXTENSION} eq 'contact 8'"), vec![di]),
        (format!("{EXTENSION} eq 'contact'"), vec![]),
        ("givenName eq 'ada'".to_owned(), vec![ADA]),
    ] {
        let answer = filter(&mut client, &text).await;
        assert_eq!((answer.status, ids(&answer)), (200, found), "{text}");
    }
}

#[tokio::test]
async fn users_in_the_bin_are_found_by_id_and_by_sign_in_name() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let bin = "/v1.0/directory/deletedItems/";
    assert_eq!(client.get(&format!("{bin}{ADA}")).await.status, 404);
    graph.delete_user(ADA);
    assert_eq!(client.get(&format!("{bin}{ADA}?$select=id")).await.json()["id"], json!(ADA.to_string()));
    let domain = graph.tenant().domain;
    for (address, found) in [("Ada@example.test", vec![ADA]), ("bob@example.test", Vec::new())] {
        let text = format!("identities/any(c:c/issuerAssignedId eq '{address}' and c/issuer eq '{domain}')");
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let answer = client.get(&format!("{bin}microsoft.graph.user?$filter={encoded}&$select=id")).await;
        assert_eq!((answer.status, ids(&answer)), (200, found), "{address}");
        assert!(!ids(&filter(&mut client, &text).await).contains(&ADA), "she is no user any more");
    }
}

#[tokio::test]
async fn queries_that_b2c_does_not_answer_are_refused() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let sixteen: Vec<String> = (0..16).map(|n| format!("'{}'", Uuid::from_u128(n))).collect();
    for text in [
        format!("id in ({})", sixteen.join(",")),
        "identities/any(c:c/issuerAssignedId eq 'a@b.test')".to_owned(),
        "endsWith(mail,'x')".to_owned(),
        "extension_0123456789abcdef0123456789abcdef_unknown eq 'x'".to_owned(),
        "colour eq 'red'".to_owned(),
    ] {
        let answer = filter(&mut client, &text).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "Request_UnsupportedQuery"), "{text}");
    }
    for target in ["/v1.0/users/delta", "/v1.0/users?$search=%22a%22", "/v1.0/users?$count=true"] {
        let answer = client.get(target).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "Request_UnsupportedQuery"), "{target}");
    }
    assert_eq!(client.get("/v1.0/users?$top=1000").await.status, 400);
    assert_eq!(client.get("/v1.0/groups").await.status, 404);
    assert_eq!(client.call("PUT", &path(ADA), &json!({})).await.status, 405);
}

#[tokio::test]
async fn pages_are_linked_until_all_users_are_seen() {
    let graph = started(Options::default()).await;
    for n in 0..5 {
        graph.add_user(User::new(Uuid::from_u128(100 + n))).unwrap();
    }
    let mut client = Client::new(&graph).await;
    let mut target = "/v1.0/users?$top=3&$select=id".to_owned();
    let mut seen = Vec::new();
    loop {
        let answer = client.get(&target).await;
        seen.extend(ids(&answer));
        let Some(next) = answer.json()["@odata.nextLink"].as_str().map(str::to_owned) else { break };
        target = next.trim_start_matches("http://localhost").to_owned();
    }
    assert_eq!(seen, graph.users().iter().map(|user| user.id).collect::<Vec<_>>());
}

#[tokio::test]
async fn users_are_read_by_their_ids() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let body = json!({"ids": [BOB, Uuid::nil(), ADA], "types": ["user"]});
    assert_eq!(ids(&client.post("/v1.0/directoryObjects/getByIds", &body).await), [BOB, ADA]);
    let many: Vec<Uuid> = (0..1_001).map(Uuid::from_u128).collect();
    assert_eq!(client.post("/v1.0/directoryObjects/getByIds", &json!({"ids": many})).await.status, 400);
}

async fn create(graph: &Graph, body: &Value) -> Answer {
    Client::new(graph).await.post("/v1.0/users", body).await
}

#[tokio::test]
async fn a_created_user_can_be_read_changed_and_deleted() {
    let graph = started(Options::default()).await;
    let body = json!({
        "accountEnabled": true, "displayName": "Cy", "passwordProfile": {"password": "x"},
        "identities": [{"signInType": "emailAddress", "issuer": graph.tenant().domain,
                        "issuerAssignedId": "cy@example.test"}],
    });
    let answer = create(&graph, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let id: Uuid = answer.json()["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(graph.user(id).unwrap().sign_in_addresses().collect::<Vec<_>>(), ["cy@example.test"]);
    assert_eq!(graph.user(id).unwrap().text("passwordProfile"), None);
    let mut client = Client::new(&graph).await;
    assert_eq!(client.patch(&path(id), &json!({"city": "Oslo"})).await.status, 204);
    assert_eq!(client.call("DELETE", &path(id), &Value::Null).await.status, 204);
    assert_eq!(client.get(&path(id)).await.status, 404);
    let again = create(&graph, &body).await;
    assert_eq!(again.status, 400, "a deleted user keeps its addresses");
    assert!(graph.purge_user(id));
    assert_eq!(create(&graph, &body).await.status, 201);
}
