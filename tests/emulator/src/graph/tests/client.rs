//! A client of a few lines that speaks HTTP/1.1 over any stream, so that tests see the very bytes.

use std::{collections::HashMap, io};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::graph::{DEFAULT_CLIENT_ID, DEFAULT_SECRET, Graph};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Graph's error code.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The targets of `error.details`.
    pub(crate) fn targets(&self) -> Vec<String> {
        let json = self.json();
        let details = json["error"]["details"].as_array().cloned().unwrap_or_default();
        details.iter().filter_map(|detail| detail["target"].as_str()).map(str::to_owned).collect()
    }
}

/// One connection with a token.
pub(crate) struct Client<S = TcpStream> {
    stream: BufReader<S>,
    pub(crate) token: String,
    /// What it says that it talks to.
    pub(crate) host: String,
}

impl Client {
    /// Connects over plain HTTP and fetches a token by secret.
    pub(crate) async fn new(graph: &Graph) -> Self {
        let mut client = Self::without_token(graph).await;
        client.sign_in(graph).await;
        client
    }

    pub(crate) async fn without_token(graph: &Graph) -> Self {
        let address = graph.http_url().replace("http://", "");
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream: BufReader::new(stream), token: String::new(), host: "localhost".to_owned() }
    }

    pub(crate) async fn sign_in(&mut self, graph: &Graph) {
        let scope = format!("{}/.default", graph.http_url());
        let form = format!(
            "grant_type=client_credentials&client_id={DEFAULT_CLIENT_ID}&client_secret={DEFAULT_SECRET}&scope={scope}"
        );
        let answer = self.post_form(&token_path(graph), &form).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.token = answer.json()["access_token"].as_str().unwrap().to_owned();
    }

    pub(crate) async fn post_form(&mut self, path: &str, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &headers, form).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.call("GET", path, &Value::Null).await
    }

    pub(crate) async fn patch(&mut self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path, body).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, body).await
    }

    /// A call with the token and a JSON body.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub(crate) async fn try_call(&mut self, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers = if body.is_null() { &headers[..1] } else { &headers[..] };
        self.send(method, path, headers, &text).await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Answer> {
        let lines: String = headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect();
        let (length, host) = (body.len(), &self.host);
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}content-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await?;
        self.receive().await
    }

    async fn receive(&mut self) -> io::Result<Answer> {
        let first = self.line().await?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let mut headers = HashMap::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status, headers, text, bytes: body })
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

pub(crate) fn token_path(graph: &Graph) -> String {
    format!("/{}/oauth2/v2.0/token", graph.tenant().id)
}
