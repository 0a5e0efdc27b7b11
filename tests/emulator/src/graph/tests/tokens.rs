//! Proving who one is, and being believed for a while.

use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ADA,
    client::{Answer, Client, token_path},
    path, started,
};
use crate::{
    clock,
    graph::{
        App, Audience, Clocks, DEFAULT_CLIENT_ID, DEFAULT_SECRET, Fault, FederatedCredential, Graph,
        IDENTITY_HEADER, Issuer, ManagedIdentity, Options, Page, Scope, Secret,
    },
};

/// A certificate and its key, made for these tests and used nowhere else.
const CERTIFICATE: &str = include_str!("data/certificate.pem");
const KEY: &str = include_str!("data/key.pem");

async fn ask(graph: &Graph, fields: &[(&str, &str)]) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    Client::without_token(graph).await.post_form(&token_path(graph), &form.finish()).await
}

fn numbers(answer: &Answer) -> Value {
    answer.json()["error_codes"].clone()
}

const SCOPE: (&str, &str) = ("scope", "https://graph.microsoft.com/.default");
const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const SECRET: (&str, &str) = ("client_secret", DEFAULT_SECRET);

#[tokio::test]
async fn a_secret_opens_the_door_in_the_form_or_in_a_basic_header() {
    let graph = started(Options::default()).await;
    let id = DEFAULT_CLIENT_ID.to_string();
    let extra = ("x-client-SKU", "MSAL.Python");
    let answer = ask(&graph, &[GRANT, SCOPE, SECRET, ("client_id", &id), extra]).await;
    assert_eq!((answer.status, &answer.json()["token_type"]), (200, &json!("Bearer")));
    assert_eq!((&answer.json()["expires_in"], answer.json().get("refresh_in")), (&json!(3599), None));
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{DEFAULT_SECRET}")));
    let headers = [("authorization", basic.as_str())];
    let form = "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";
    let target = format!("{}?client-request-id=1", token_path(&graph));
    let answer = Client::without_token(&graph).await.send("POST", &target, &headers, form).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn every_mistake_has_its_number() {
    let graph = started(Options::default()).await;
    let id = DEFAULT_CLIENT_ID.to_string();
    let client = ("client_id", id.as_str());
    let stranger = Uuid::nil().to_string();
    for (fields, status, error, number) in [
        (vec![GRANT, SCOPE, client, ("client_secret", "x")], 401, "invalid_client", 7_000_215),
        (vec![GRANT, SCOPE, client], 401, "invalid_client", 7_000_216),
        (vec![GRANT, SCOPE, SECRET, ("client_id", &stranger)], 400, "unauthorized_client", 700_016),
        (vec![GRANT, SCOPE, SECRET], 400, "invalid_request", 900_144),
        (vec![GRANT, client, SECRET], 400, "invalid_request", 900_144),
        (vec![("grant_type", "password"), SCOPE, client, SECRET], 400, "unsupported_grant_type", 70_003),
        (vec![GRANT, client, SECRET, ("scope", "https://graph.microsoft.com")], 400, "invalid_scope", 70_011),
        (vec![GRANT, client, SECRET, ("scope", "https://a.test/.default")], 400, "invalid_resource", 500_011),
    ] {
        let answer = ask(&graph, &fields).await;
        assert_eq!((answer.status, numbers(&answer)), (status, json!([number])), "{fields:?}");
        let json = answer.json();
        assert_eq!(json["error"], error);
        let description = json["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
        assert_eq!(json["timestamp"].as_str().map(str::len), Some("2026-01-31 12:00:00Z".len()));
    }
}

#[tokio::test]
async fn a_wrong_tenant_is_told_so_by_metadata_and_token_endpoint() {
    let graph = started(Options::default()).await;
    let mut client = Client::without_token(&graph).await;
    let paths = ["v2.0/.well-known/openid-configuration", "oauth2/v2.0/token"];
    for (tenant, number) in [("fabrikam.test", 90_002), ("common", 50_059)] {
        let metadata = client.get(&format!("/{tenant}/{}", paths[0])).await;
        let token = client.post_form(&format!("/{tenant}/{}", paths[1]), "").await;
        assert_eq!((metadata.status, numbers(&metadata)), (400, json!([number])));
        assert_eq!((token.status, numbers(&token)), (400, json!([number])));
    }
    let metadata = client.get(&format!("/contoso.onmicrosoft.com/{}", paths[0])).await.json();
    for name in ["issuer", "token_endpoint", "authorization_endpoint", "jwks_uri"] {
        assert!(
            metadata[name].as_str().unwrap().starts_with("http://localhost/"),
            "{name} is on the same origin"
        );
    }
    assert_eq!(client.get("/common/discovery/instance?api-version=1.1").await.status, 200);
}

#[tokio::test]
async fn secrets_rotate_and_expire_and_apps_are_disabled() {
    let graph = started(Options::default()).await;
    let id = DEFAULT_CLIENT_ID.to_string();
    let with =
        |secret: &'static str| vec![GRANT, SCOPE, ("client_id", id.as_str()), ("client_secret", secret)];
    graph.edit_app(DEFAULT_CLIENT_ID, |app| app.secrets.push(Secret::new("second")));
    assert_eq!(ask(&graph, &with("second")).await.status, 200);
    assert_eq!(ask(&graph, &with(DEFAULT_SECRET)).await.status, 200);
    graph.edit_app(DEFAULT_CLIENT_ID, |app| app.secrets[0].expired = true);
    assert_eq!(numbers(&ask(&graph, &with(DEFAULT_SECRET)).await), json!([7_000_222]));
    graph.edit_app(DEFAULT_CLIENT_ID, |app| app.disabled = true);
    assert_eq!(numbers(&ask(&graph, &with("second")).await), json!([7_000_112]));
    assert!(!graph.edit_app(Uuid::nil(), |_| ()));
}

#[tokio::test]
async fn lifetime_and_renewal_hint_are_chosen() {
    let graph = started(Options { token_lifetime: Duration::from_secs(7), ..Options::default() }).await;
    graph.set_token_refresh_in(Some(Duration::from_secs(3)));
    let id = DEFAULT_CLIENT_ID.to_string();
    let answer = ask(&graph, &[GRANT, SCOPE, SECRET, ("client_id", &id)]).await.json();
    assert_eq!((&answer["expires_in"], &answer["refresh_in"]), (&json!(7), &json!(3)));
}

#[tokio::test]
async fn a_token_for_service_bus_does_not_open_graph() {
    let graph = started(Options::default()).await;
    let id = DEFAULT_CLIENT_ID.to_string();
    let scope = ("scope", "https://servicebus.azure.net/.default");
    let answer = ask(&graph, &[GRANT, scope, SECRET, ("client_id", &id)]).await;
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert!(graph.look_up_token(&token, Audience::ServiceBus).is_some());
    assert!(graph.look_up_token(&token, Audience::Graph).is_none());
    let mut client = Client::without_token(&graph).await;
    client.token = token;
    assert_eq!(client.get(&path(ADA)).await.status, 401);
}

#[tokio::test]
async fn a_token_revoked_by_continuous_access_evaluation_brings_a_challenge() {
    let graph = started(Options::default()).await;
    let mut client = Client::new(&graph).await;
    graph.revoke_tokens_with_challenge();
    let answer = client.get(&path(ADA)).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate").unwrap();
    let claims = challenge.split("claims=\"").nth(1).unwrap().trim_end_matches('"');
    assert!(STANDARD.decode(claims).unwrap().starts_with(b"{\"access_token\""));
    assert_eq!(Client::new(&graph).await.get(&path(ADA)).await.status, 200, "a new token is good");
}

fn seconds() -> i64 {
    clock::now().as_second()
}

/// A signed assertion.
fn signed(header: &Value, claims: &Value, encoding: &'static dyn RsaEncoding) -> String {
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims(graph: &Graph) -> Value {
    let endpoint = format!("https://login.microsoftonline.com{}", token_path(graph));
    json!({
        "aud": endpoint, "iss": DEFAULT_CLIENT_ID, "sub": DEFAULT_CLIENT_ID, "jti": Uuid::new_v4(),
        "nbf": seconds(), "iat": seconds(), "exp": seconds() + 600,
    })
}

fn thumbprint(algorithm: &'static ring::digest::Algorithm) -> String {
    let der = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    URL_SAFE_NO_PAD.encode(digest(algorithm, &der))
}

async fn assert_as(graph: &Graph, assertion: &str) -> Answer {
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let id = DEFAULT_CLIENT_ID.to_string();
    ask(graph, &[GRANT, SCOPE, ("client_id", &id), kind, ("client_assertion", assertion)]).await
}

fn with_certificate() -> Options {
    let app = App { certificates: vec![CERTIFICATE.to_owned()], ..App::default() };
    Options { apps: vec![app], ..Options::default() }
}

#[tokio::test]
async fn a_certificate_opens_the_door_in_the_old_and_the_new_form() {
    let graph = started(with_certificate()).await;
    let old = json!({"typ": "JWT", "alg": "RS256", "x5t": thumbprint(&SHA1_FOR_LEGACY_USE_ONLY)});
    let new = json!({"typ": "JWT", "alg": "PS256", "x5t#S256": thumbprint(&SHA256)});
    let mut fractional = claims(&graph);
    let exp = f64::from(u32::try_from(seconds()).unwrap()) + 599.25;
    fractional["exp"] = json!(exp);
    fractional["iat"] = json!(exp - 600.0);
    fractional.as_object_mut().unwrap().remove("nbf");
    for assertion in [
        signed(&old, &claims(&graph), &RSA_PKCS1_SHA256),
        signed(&new, &claims(&graph), &RSA_PSS_SHA256),
        signed(&new, &fractional, &RSA_PSS_SHA256),
    ] {
        let answer = assert_as(&graph, &assertion).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_bad_assertion_is_refused() {
    let graph = started(with_certificate()).await;
    let header = json!({"typ": "JWT", "alg": "PS256", "x5t#S256": thumbprint(&SHA256)});
    let with = |name: &str, value: Value| {
        let mut all = claims(&graph);
        all[name] = value;
        all
    };
    let sign = |claims: &Value| signed(&header, claims, &RSA_PSS_SHA256);
    let other = json!({"typ": "JWT", "alg": "PS256", "x5t#S256": URL_SAFE_NO_PAD.encode([0_u8; 32])});
    let good = sign(&claims(&graph));
    let (body, _) = good.rsplit_once('.').unwrap();
    for (what, assertion, number) in [
        ("another certificate", signed(&other, &claims(&graph), &RSA_PSS_SHA256), 700_027),
        ("wrong padding", signed(&header, &claims(&graph), &RSA_PKCS1_SHA256), 700_027),
        ("no signature", format!("{body}."), 700_027),
        ("expired", sign(&with("exp", json!(seconds() - 301))), 700_024),
        ("not yet valid", sign(&with("nbf", json!(seconds() + 400))), 700_024),
        ("another audience", sign(&with("aud", json!("https://a.test/x/oauth2/v2.0/token"))), 700_023),
        ("another subject", sign(&with("sub", json!(Uuid::nil()))), 700_021),
        ("an outside issuer", sign(&with("iss", json!("https://issuer.test"))), 70_021),
        ("no token", "x.y.z".to_owned(), 50_027),
    ] {
        let answer = assert_as(&graph, &assertion).await;
        assert_eq!(numbers(&answer), json!([number]), "{what}");
    }
    assert_eq!(assert_as(&graph, &good).await.status, 200);
    // The same assertion, judged by a clock that is hours off.
    for authority_s in [7_200, -7_200] {
        graph.set_clocks(Clocks { authority_s, ..Clocks::default() });
        assert_eq!(numbers(&assert_as(&graph, &good).await), json!([700_024]), "{authority_s}");
    }
}

#[tokio::test]
async fn an_outside_issuer_is_believed_for_its_subject_and_audience() {
    let issuer = Issuer::new("https://issuer.test").unwrap();
    let credential = FederatedCredential::new(issuer.url(), "system:serviceaccount:a:b", issuer.keys());
    let app = App { federated: vec![credential], ..App::default() };
    let graph = started(Options { apps: vec![app], ..Options::default() }).await;
    let (subject, audience) = ("system:serviceaccount:a:b", "api://AzureADTokenExchange");
    let minute = Duration::from_mins(1);
    let impostor = Issuer::new("https://issuer.test").unwrap();
    let stranger = Issuer::new("https://stranger.test").unwrap();
    for (assertion, number) in [
        (issuer.assertion(subject, audience, minute), None),
        (issuer.assertion("system:serviceaccount:a:c", audience, minute), Some(700_213)),
        (issuer.assertion(subject, "api://other", minute), Some(700_212)),
        (impostor.assertion(subject, audience, minute), Some(50_013)),
        (stranger.assertion(subject, audience, minute), Some(700_211)),
    ] {
        let answer = assert_as(&graph, &assertion.unwrap()).await;
        assert_eq!(numbers(&answer), number.map_or(Value::Null, |number| json!([number])), "{}", answer.text);
        assert_eq!(answer.status == 200, number.is_none());
    }
}

async fn managed(graph: &Graph, target: &str, header: (&str, &str)) -> Answer {
    Client::without_token(graph).await.send("GET", target, &[header], "").await.unwrap()
}

#[tokio::test]
async fn a_managed_identity_gets_its_numbers_as_strings() {
    let graph = started(Options::default()).await;
    let resource = "resource=https%3A%2F%2Fgraph.microsoft.com";
    let imds = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&{resource}");
    let app_service = format!("/msi/token?api-version=2019-08-01&{resource}");
    for (target, header) in [(imds, IMDS), (app_service, ("x-identity-header", IDENTITY_HEADER))] {
        let answer = managed(&graph, &target, header).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let json = answer.json();
        for name in ["expires_in", "expires_on", "not_before"] {
            assert!(json[name].as_str().unwrap().parse::<u64>().is_ok(), "{name}");
        }
        let mut client = Client::without_token(&graph).await;
        json["access_token"].as_str().unwrap().clone_into(&mut client.token);
        assert_eq!(client.get(&path(ADA)).await.status, 200);
        assert_eq!(managed(&graph, &target, ("accept", "*/*")).await.status, 400, "without its header");
    }
}

#[tokio::test]
async fn the_metadata_service_is_away_while_it_is_updated() {
    let graph = started(Options::default()).await;
    graph.script(Fault::status(410).on(Scope::ManagedIdentity).body(Page::Empty));
    let target =
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://graph.microsoft.com";
    let statuses = [managed(&graph, target, IMDS).await.status, managed(&graph, target, IMDS).await.status];
    assert_eq!(statuses, [410, 200]);
}

const IMDS: (&str, &str) = ("metadata", "true");

#[tokio::test]
async fn a_managed_identity_is_chosen_by_any_of_its_names() {
    let object = Uuid::from_u128(7);
    let named = ManagedIdentity {
        object_id: Some(object),
        resource_id: Some("/subscriptions/1/x".into()),
        system: false,
    };
    let app = App { managed: Some(named), ..App::new(Uuid::from_u128(8)) };
    let graph = started(Options { apps: vec![App::default(), app], ..Options::default() }).await;
    let base = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://graph.microsoft.com";
    for (choice, id) in [
        (String::new(), Some(DEFAULT_CLIENT_ID)),
        (format!("&object_id={object}"), Some(Uuid::from_u128(8))),
        (format!("&client_id={}", Uuid::from_u128(8)), Some(Uuid::from_u128(8))),
        ("&msi_res_id=/subscriptions/1/x".to_owned(), Some(Uuid::from_u128(8))),
        (format!("&client_id={}", Uuid::from_u128(9)), None),
    ] {
        let answer = managed(&graph, &format!("{base}{choice}"), IMDS).await;
        assert_eq!(answer.status, if id.is_some() { 200 } else { 400 }, "{choice}");
        assert_eq!(answer.json()["client_id"], id.map_or(Value::Null, |id| json!(id)), "{choice}");
    }
}
