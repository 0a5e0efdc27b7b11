//! One HTTP server in the place of all receivers: it keeps what it gets and answers by a script.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::PATIENCE;

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With a status and a text.
    Status(u16, &'static str),
    /// With a status and `Retry-After` in seconds.
    After(u16, u64),
    /// With a redirect to there.
    Redirect(String),
    /// Never.
    Hang,
}

/// What came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its path, with the query.
    pub path: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

#[derive(Default)]
struct Kept {
    got: Vec<Request>,
    /// What each path answers next, and from then on.
    script: BTreeMap<String, VecDeque<Reply>>,
}

/// The server.
pub struct TellReceiver {
    /// Its root, without a slash at the end.
    pub root: String,
    kept: Arc<Mutex<Kept>>,
}

impl TellReceiver {
    /// Starts it on a free port.
    pub async fn start() -> Result<Self> {
        let kept = Arc::<Mutex<Kept>>::default();
        let routes = Router::new().fallback(any(take)).with_state(Arc::clone(&kept));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let root = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { root, kept })
    }

    /// Answers requests at this path so, one after another. The last one stays.
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.kept().script.insert(path.to_owned(), replies.into_iter().collect());
    }

    /// What came in at this path, query aside.
    #[must_use]
    pub fn got(&self, path: &str) -> Vec<Request> {
        let is_there = |request: &&Request| request.path.split('?').next() == Some(path);
        self.kept().got.iter().filter(is_there).cloned().collect()
    }

    /// Waits until so many have come in there.
    pub async fn until(&self, path: &str, count: usize) -> Result<Vec<Request>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let got = self.got(path);
            if got.len() >= count {
                return Ok(got);
            }
            let all: Vec<_> = self.kept().got.iter().map(|request| request.path.clone()).collect();
            ensure!(Instant::now() < deadline, "{path} got {} of {count} requests; all: {all:?}", got.len());
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(State(kept): State<Arc<Mutex<Kept>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |value: &header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let request = Request { path: uri.to_string(), headers: headers.collect(), body: body.to_vec() };
    let reply = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.got.push(request);
        let script = kept.script.get_mut(uri.path());
        script.and_then(|script| if script.len() > 1 { script.pop_front() } else { script.front().cloned() })
    };
    let status = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    match reply.unwrap_or(usual(uri.path())) {
        Reply::Status(code, text) => (status(code), text).into_response(),
        Reply::After(code, seconds) => {
            (status(code), [(header::RETRY_AFTER, seconds.to_string())]).into_response()
        }
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Reply::Hang => std::future::pending().await,
    }
}

/// What the services answer when all is well.
fn usual(path: &str) -> Reply {
    if path.contains("slack") { Reply::Status(200, "ok") } else { Reply::Status(202, "") }
}
