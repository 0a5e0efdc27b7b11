//! A client of the Web API in a few lines.

use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::{
    dataverse::Dataverse,
    graph::{
        DEFAULT_SECRET, Graph,
        tests::client::{Answer, Client},
    },
};

/// One connection with a token.
pub(super) struct Api {
    client: Client,
    pub(super) root: String,
}

impl Api {
    pub(super) async fn new(graph: &Graph, dataverse: &Dataverse, app: Uuid) -> Self {
        let resource = dataverse.http_url();
        let token = token(graph, app, &resource).await;
        Self::with_token(dataverse, token).await
    }

    pub(super) async fn with_token(dataverse: &Dataverse, token: String) -> Self {
        let host = dataverse.http_url().replace("http://", "");
        let mut client = Client::over(TcpStream::connect(&host).await.unwrap());
        (client.host, client.token) = (host, token);
        Self { client, root: format!("{}/api/data/v9.2", dataverse.http_url()) }
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], &Json::Null).await
    }

    pub(super) async fn prefer(&mut self, path: &str, preferences: &str) -> Answer {
        self.send("GET", path, &[("prefer", preferences)], &Json::Null).await
    }

    pub(super) async fn post(&mut self, path: &str, body: &Json) -> Answer {
        self.send("POST", path, &[], body).await
    }

    pub(super) async fn patch(&mut self, path: &str, body: &Json) -> Answer {
        self.send("PATCH", path, &[("if-match", "*")], body).await
    }

    /// A request below the root, or at an absolute URL of this organization.
    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Json,
    ) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send_text(method, path, headers, &text).await
    }

    pub(super) async fn send_text(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let absolute = path.strip_prefix(&format!("http://{}", self.client.host)).map(str::to_owned);
        let path = absolute.unwrap_or_else(|| format!("/api/data/v9.2/{}", asked(path)));
        let bearer = format!("Bearer {}", self.client.token);
        let mut all = vec![("authorization", bearer.as_str())];
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            all.push(("content-type", "application/json; charset=utf-8"));
        }
        all.extend(headers);
        self.client.send(method, &path, &all, body).await.unwrap()
    }

    /// Every row of a list, page by page, with the last page.
    pub(super) async fn all(&mut self, path: &str, preferences: &str) -> (Vec<Json>, Json) {
        let (mut rows, mut next) = (Vec::new(), path.to_owned());
        loop {
            let answer = self.prefer(&next, preferences).await;
            assert_eq!(answer.status, 200, "{next}: {}", answer.text);
            let body = answer.json();
            rows.extend(body["value"].as_array().cloned().unwrap_or_default());
            match body["@odata.nextLink"].as_str() {
                Some(link) => link.clone_into(&mut next),
                None => return (rows, body),
            }
        }
    }
}

/// The request line has no blanks.
fn asked(path: &str) -> String {
    path.replace(' ', "%20").replace('"', "%22")
}

pub(super) async fn token(graph: &Graph, app: Uuid, resource: &str) -> String {
    let address = graph.http_url().replace("http://", "");
    let mut client = Client::over(TcpStream::connect(address).await.unwrap());
    let form = format!(
        "grant_type=client_credentials&client_id={app}&client_secret={DEFAULT_SECRET}&scope={resource}/.default"
    );
    let answer = client.post_form(&crate::graph::tests::client::token_path(graph), &form).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body: Json = answer.json();
    body.get("access_token").unwrap_or(&json!("")).as_str().unwrap().to_owned()
}
