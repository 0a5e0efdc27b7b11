//! Reading and writing one user.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{ADA, BOB, SOON, client::Client, path, started};
use crate::graph::{DEFAULT_CLIENT_ID, Kind, Options, Profile, User};

#[tokio::test]
async fn a_patch_answers_204_without_a_body_and_is_read_back() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let answer = client.patch(&path(ADA), &json!({"givenName": "Augusta", "city": "London"})).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    let read = client.get(&path(ADA)).await;
    assert_eq!((read.status, &read.json()["givenName"]), (200, &json!("Augusta")));
    assert_eq!(graph.user(ADA).unwrap().text("city"), Some("London"));
}

#[tokio::test]
async fn a_get_shows_eleven_properties_and_more_only_when_selected() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let plain = client.get(&path(ADA)).await.json();
    let names: Vec<&str> = plain.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names.len(), 12, "the context and eleven properties: {names:?}");
    assert!(!names.contains(&"identities"));
    assert_eq!(plain["surname"], Value::Null);
    assert_eq!(plain["businessPhones"], json!([]));
    let selected = client.get(&format!("{}?$select=id,identities", path(ADA))).await.json();
    assert_eq!(selected["identities"][0]["issuerAssignedId"], "ada@example.test");
    assert_eq!(client.get(&format!("{}?$select=colour", path(ADA))).await.code(), "Request_BadRequest");
}

#[tokio::test]
async fn a_refused_patch_names_every_target_and_applies_nothing() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let before = graph.user(ADA);
    for (body, targets) in [
        (json!({"givenName": ""}), vec!["givenName"]),
        (json!({"city": "Paris", "favouriteColour": "red"}), vec!["favouriteColour"]),
        (json!({"city": "Paris", "surname": "x".repeat(65)}), vec!["surname"]),
        (json!({"businessPhones": ["1", "2"], "city": "Paris"}), vec!["businessPhones"]),
        (json!({"displayName": null}), vec!["displayName"]),
        (json!({"mail": null, "usageLocation": null}), vec!["mail", "usageLocation"]),
        (json!({"proxyAddresses": []}), vec!["proxyAddresses"]),
    ] {
        let answer = client.patch(&path(ADA), &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "Request_BadRequest"), "{body}");
        assert_eq!(answer.targets(), targets, "{body}");
        assert_eq!(answer.json()["error"]["details"][0]["code"], "InvalidValue");
        assert_eq!(graph.user(ADA), before, "{body}");
    }
    assert_eq!(graph.counters().writes, 0);
}

#[tokio::test]
async fn type_annotations_of_microsofts_libraries_are_ignored() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let body = json!({"@odata.type": "#microsoft.graph.user", "city": "Paris", "otherMails@odata.type": "x"});
    assert_eq!(client.patch(&path(ADA), &body).await.status, 204);
    assert_eq!(graph.user(ADA).unwrap().text("city"), Some("Paris"));
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_support_asks_for() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let bearer = format!("Bearer {}", client.token);
    for (target, bearer) in
        [(path(ADA), bearer.as_str()), (path(uuid::Uuid::nil()), &bearer), (path(ADA), "Bearer x")]
    {
        let headers = [("authorization", bearer), ("client-request-id", "my-own-id")];
        let answer = client.send("GET", &target, &headers, "").await.unwrap();
        assert_eq!(answer.header("client-request-id"), Some("my-own-id"));
        for name in ["request-id", "x-ms-ags-diagnostic", "x-ms-resource-unit", "date"] {
            assert!(answer.header(name).is_some(), "{name} on {}", answer.status);
        }
        if answer.status != 200 {
            let inner = &answer.json()["error"]["innerError"];
            assert_eq!(inner["client-request-id"], "my-own-id");
            assert_eq!(inner["request-id"].as_str(), answer.header("request-id"));
            assert_eq!(inner["date"].as_str().map(str::len), Some("2026-01-31T12:00:00".len()));
        }
    }
}

#[tokio::test]
async fn unknown_and_deleted_users_answer_404() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.delete_user(BOB);
    for key in [uuid::Uuid::nil().to_string(), "nobody".to_owned(), BOB.to_string()] {
        let target = format!("/v1.0/users/{key}");
        for answer in [client.get(&target).await, client.patch(&target, &json!({"city": "x"})).await] {
            assert_eq!((answer.status, answer.code().as_str()), (404, "Request_ResourceNotFound"), "{key}");
        }
    }
}

#[tokio::test]
async fn a_user_is_also_found_by_its_principal_name() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let answer = client.get(&format!("/v1.0/users/{ADA}%40CONTOSO.onmicrosoft.com")).await;
    assert_eq!(answer.json()["id"], json!(ADA));
}

#[tokio::test]
async fn a_body_that_is_not_json_or_does_not_say_so_is_refused() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let bearer = format!("Bearer {}", client.token);
    let auth = ("authorization", bearer.as_str());
    let json_type = ("content-type", "application/json; charset=utf-8");
    for (headers, body, status) in [
        (vec![auth], r#"{"city":"x"}"#, 400),
        (vec![auth, ("content-type", "text/plain")], r#"{"city":"x"}"#, 400),
        (vec![auth, json_type], r#"{"city":"#, 400),
        (vec![auth, json_type], r#"["city"]"#, 400),
        (vec![auth, json_type], r#"{"city":"x"}"#, 204),
    ] {
        let answer = client.send("PATCH", &path(ADA), &headers, body).await.unwrap();
        assert_eq!(answer.status, status, "{body}");
        assert!(status == 204 || answer.code() == "BadRequest", "{}", answer.text);
    }
}

#[tokio::test]
async fn a_call_without_a_good_token_answers_401_and_a_challenge() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.set_token_lifetime(std::time::Duration::ZERO);
    let mut stale = Client::new(&graph).await;
    let expired = stale.get(&path(ADA)).await;
    let good = std::mem::replace(&mut client.token, "foreign".to_owned());
    let foreign = client.get(&path(ADA)).await;
    let missing = client.send("GET", &path(ADA), &[], "").await.unwrap();
    client.token = good;
    assert_eq!(client.get(&path(ADA)).await.status, 200);
    graph.revoke_tokens();
    let revoked = client.get(&path(ADA)).await;
    for answer in [expired, foreign, missing, revoked] {
        assert_eq!((answer.status, answer.code().as_str()), (401, "InvalidAuthenticationToken"));
        assert!(answer.header("www-authenticate").is_some());
    }
    assert_eq!(graph.counters().unauthorized, 4);
}

#[tokio::test]
async fn the_journal_tells_what_changed_in_which_order() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    client.patch(&path(ADA), &json!({"givenName": "Augusta", "mail": "ada@example.test"})).await;
    client.get(&path(BOB)).await;
    let entry = graph.wait_for_entry(SOON, |entry| entry.method == "GET").await.unwrap();
    assert_eq!((entry.user, entry.status, entry.app), (Some(BOB), Some(200), Some(DEFAULT_CLIENT_ID)));
    let journal = graph.journal();
    assert_eq!(journal.iter().map(|e| e.kind).collect::<Vec<_>>(), [Kind::Token, Kind::Graph, Kind::Graph]);
    assert_eq!(journal.iter().map(|e| e.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(journal[1].is_write() && journal[1].applied);
    assert_eq!(journal[1].changed().collect::<Vec<_>>(), ["givenName"]);
    assert_eq!(
        (&journal[1].changes[0].before, &journal[1].changes[0].after),
        (&json!("Ada"), &json!("Augusta"))
    );
    let counters = graph.counters();
    assert_eq!((counters.reads, counters.writes, counters.tokens), (1, 1, 1));
}

#[tokio::test]
async fn waiting_ends_with_the_event_or_with_what_was_seen_instead() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let body = json!({"city": "Oslo"});
    let target = path(ADA);
    let waiting = graph.wait_for_user(ADA, SOON, |user| user.text("city") == Some("Oslo"));
    let (found, _) = tokio::join!(waiting, client.patch(&target, &body));
    assert_eq!(found.unwrap().text("city"), Some("Oslo"));
    let nothing = graph.wait_for_counters(std::time::Duration::from_millis(20), |c| c.writes > 1).await;
    assert_eq!(nothing.unwrap_err().counters.writes, 1);
}

#[tokio::test]
async fn the_journal_forgets_its_oldest_entries_first() {
    let graph = started(Options { journal_capacity: 2, ..Options::default() }).await;
    let mut client = Client::new(&graph).await;
    for _ in 0..3 {
        client.get(&path(ADA)).await;
    }
    let numbers = |since| graph.journal_since(since).iter().map(|e| e.number).collect::<Vec<_>>();
    assert_eq!((numbers(0), numbers(3), numbers(9)), (vec![3, 4], vec![4], vec![]));
}

#[tokio::test]
async fn https_is_trusted_through_the_private_authority() {
    let graph = started(Options::default()).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(graph.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = graph.https_url().replace("https://localhost", "127.0.0.1");
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let mut client = Client::over(stream);
    client.sign_in(&graph).await;
    assert_eq!(client.get(&path(ADA)).await.status, 200);
}

#[tokio::test]
async fn a_stopped_server_drops_its_connections_and_takes_no_new_ones() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let address = graph.http_url().replace("http://", "");
    graph.stop().await;
    assert!(client.try_call("GET", &path(ADA), &Value::Null).await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn b2c_keeps_a_hundred_extension_values_for_a_user() {
    let name = |n: usize| format!("extension_0123456789abcdef0123456789abcdef_v{n}");
    for (profile, last) in [(Profile::B2c, 400), (Profile::ExternalId, 204)] {
        let extensions = (0..101).map(name).collect();
        let graph = started(Options { profile, extensions, ..Options::default() }).await;
        let mut client = Client::new(&graph).await;
        let hundred: serde_json::Map<String, Value> = (0..100).map(|n| (name(n), json!("x"))).collect();
        assert_eq!(client.patch(&path(ADA), &Value::Object(hundred)).await.status, 204);
        assert_eq!(client.patch(&path(ADA), &json!({ name(0): "y" })).await.status, 204);
        assert_eq!(client.patch(&path(ADA), &json!({ name(100): "x" })).await.status, last, "{profile:?}");
        let answer = client.patch(&path(ADA), &json!({ name(1): "z", name(99): null, name(100): "x" })).await;
        assert_eq!(answer.status, 204);
    }
}

#[tokio::test]
async fn numbered_texts_are_merged_except_for_users_from_on_premises() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    let texts = |body: Value| json!({ "onPremisesExtensionAttributes": body });
    client.patch(&path(ADA), &texts(json!({"extensionAttribute1": "a", "extensionAttribute2": "b"}))).await;
    client.patch(&path(ADA), &texts(json!({"extensionAttribute1": null, "extensionAttribute3": "c"}))).await;
    let kept = json!({"extensionAttribute2": "b", "extensionAttribute3": "c"});
    assert_eq!(graph.user(ADA).unwrap().get("onPremisesExtensionAttributes"), kept);
    let synchronised = uuid::Uuid::from_u128(9);
    graph.add_user(User::new(synchronised).with("onPremisesSyncEnabled", true)).unwrap();
    let answer = client.patch(&path(synchronised), &texts(json!({"extensionAttribute1": "a"}))).await;
    assert_eq!((answer.status, answer.targets()), (400, vec!["onPremisesExtensionAttributes".to_owned()]));
}

#[tokio::test]
async fn the_eleventh_mail_of_a_b2c_account_never_heals() {
    for (profile, last) in [(Profile::B2c, 500), (Profile::ExternalId, 204)] {
        let graph = started(Options { profile, ..Options::default() }).await;
        let mut client = Client::new(&graph).await;
        // The account began with one address; nine more fill it up, and going back to an old one costs nothing.
        for n in 0..9 {
            let body = json!({"mail": format!("ada{n}@example.test")});
            assert_eq!(client.patch(&path(ADA), &body).await.status, 204);
        }
        assert_eq!(client.patch(&path(ADA), &json!({"mail": "ADA@example.test"})).await.status, 204);
        for _ in 0..2 {
            let answer = client.patch(&path(ADA), &json!({"mail": "ada9@example.test"})).await;
            assert_eq!(answer.status, last, "{profile:?}");
        }
    }
}
