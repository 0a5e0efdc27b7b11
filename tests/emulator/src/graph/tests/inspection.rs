//! The doors for people and other languages.

use std::path::Path;

use serde_json::{Value, json};

use super::{ADA, BOB, client::Client, path, started};
use crate::{
    graph::{DEFAULT_CLIENT_ID, Graph, Options, Seed, StartError},
    seed_file::SeedError,
};

const SEED: &str = r#"{
    "extensions": ["extension_0123456789abcdef0123456789abcdef_mark"],
    "users": [
        {"id": "00000000-0000-0000-0000-000000000ada", "properties": {"givenName": "Ada"},
         "identities": [{"signInType": "emailAddress", "issuerAssignedId": "ada@example.test"}]}
    ]
}"#;

async fn from_seed(text: &str) -> Result<Graph, StartError> {
    Graph::start(Options { seed: serde_json::from_str(text).unwrap(), ..Options::default() }).await
}

#[tokio::test]
async fn a_seed_fills_the_directory_and_a_reset_goes_back_to_it() {
    let graph = from_seed(SEED).await.unwrap();
    let mut client = Client::new(&graph).await;
    let mark = "extension_0123456789abcdef0123456789abcdef_mark";
    assert_eq!(client.patch(&path(ADA), &json!({ mark: "v1", "givenName": "A" })).await.status, 204);
    client.post("/__faults", &json!({"answer": "reset", "times": null})).await;
    let created = json!({"accountEnabled": true, "displayName": "Cy"});
    client.post("/__users", &json!({"id": BOB, "properties": created})).await;
    assert_eq!(graph.users().len(), 2);
    assert_eq!(client.call("POST", "/__reset", &Value::Null).await.status, 204);
    assert_eq!(graph.users().len(), 1);
    assert_eq!(graph.user(ADA).unwrap().text("givenName"), Some("Ada"));
    assert!(graph.pending_faults().is_empty() && graph.journal().is_empty());
    assert_eq!(client.get(&path(ADA)).await.status, 200, "the token is still good");
    assert_eq!(graph.journal()[0].number, 3, "numbers go on");
}

#[tokio::test]
async fn a_seed_that_contradicts_itself_is_refused() {
    let twice = r#"{"users": [
        {"id": "00000000-0000-0000-0000-000000000001", "properties": {"mail": "a@b.test"}},
        {"id": "00000000-0000-0000-0000-000000000002", "properties": {"mail": "A@b.test"}}]}"#;
    assert!(matches!(from_seed(twice).await, Err(StartError::Seed(_))));
    let unknown = serde_json::from_str::<Seed>(r#"{"colours": []}"#);
    assert!(unknown.unwrap_err().to_string().contains("unknown field `colours`"));
    assert!(matches!(Seed::from_file(Path::new("/nowhere/seed.json")), Err(SeedError::Read { .. })));
}

#[tokio::test]
async fn the_state_shows_users_counters_faults_and_quota() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    client.patch(&path(ADA), &json!({"city": "Oslo"})).await;
    let state = client.get("/__state").await.json();
    assert_eq!(state["users"][0]["properties"]["city"], "Oslo");
    assert_eq!(state["users"][0]["identities"][0]["issuerAssignedId"], "ada@example.test");
    assert_eq!(state["counters"]["writes"], 1);
    assert_eq!(state["apps"], json!([DEFAULT_CLIENT_ID]));
    assert_eq!((&state["profile"], &state["throttle"]["on"]), (&json!("b2c"), &json!(false)));
    assert_eq!(client.get(&format!("/__users/{ADA}")).await.json(), state["users"][0]);
    assert_eq!(client.get("/__counters").await.json(), state["counters"]);
    assert_eq!(client.get("/__users/nobody").await.status, 404);
    assert_eq!(client.get("/__nothing").await.status, 404);
    assert!(client.get("/__ca.pem").await.text.starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn the_journal_waits_for_news() {
    let graph = started(Options::default()).await;
    let mut reader = Client::without_token(&graph).await;
    let mut writer = Client::new(&graph).await;
    let target = path(ADA);
    let body = json!({"city": "Oslo"});
    let (news, _) =
        tokio::join!(reader.get("/__journal?since=1&wait_ms=60000"), writer.patch(&target, &body));
    let json = news.json();
    assert_eq!((&json["last"], json["entries"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    assert_eq!(
        json["entries"][0]["changes"][0],
        json!({"property": "city", "before": null, "after": "Oslo"})
    );
    let nothing = reader.get("/__journal?since=2&wait_ms=1").await.json();
    assert_eq!(nothing["entries"], json!([]));
}

#[tokio::test]
async fn faults_are_scripted_in_json() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let list = json!([
        {"answer": {"error": {"status": 429, "retry_after": {"seconds": 1.5}}}, "method": "PATCH", "user": ADA},
        {"on": "token", "answer": {"token_error": 7_000_222}},
    ]);
    assert_eq!(client.post("/__faults", &list).await.json(), json!({"added": [1, 2]}));
    assert_eq!(client.get("/__faults").await.json()[1]["fault"]["answer"], json!({"token_error": 7_000_222}));
    let answer = client.patch(&path(ADA), &json!({"city": "Oslo"})).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1.5")));
    assert_eq!(client.call("DELETE", "/__faults", &Value::Null).await.status, 204);
    assert_eq!(client.get("/__faults").await.json(), json!([]));
    let wrong = client.post("/__faults", &json!({"anwser": "reset"})).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text.contains("unknown field `anwser`"), "{}", wrong.text);
}

#[tokio::test]
async fn settings_quota_tokens_and_apps_are_changed_while_running() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let throttle = json!({"on": true, "writes": 5, "retry_after": "fraction"});
    let settings = json!({"profile": "external_id", "token_lifetime_s": 5, "throttle": throttle});
    assert_eq!(client.post("/__settings", &settings).await.status, 204);
    let levels = client.post("/__quota", &json!({"writes": 5, "app": DEFAULT_CLIENT_ID})).await.json();
    assert_eq!(levels[0]["left"], json!(0.0));
    assert_eq!(client.patch(&path(ADA), &json!({"city": "Oslo"})).await.status, 429);
    assert_eq!(client.call("POST", "/__revoke", &Value::Null).await.status, 204);
    assert_eq!(client.get(&path(ADA)).await.status, 401);
    let app = json!({"id": DEFAULT_CLIENT_ID, "secrets": [{"value": "local-secret"}], "roles": []});
    assert_eq!(client.call("PUT", "/__apps", &app).await.status, 204);
    assert_eq!(Client::new(&graph).await.get(&path(ADA)).await.status, 403);
    assert_eq!(client.post("/__settings", &json!({"latency": 1})).await.status, 400);
}
