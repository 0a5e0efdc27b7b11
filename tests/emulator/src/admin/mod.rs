//! The HTTP interface: entities as Atom entries, health, and this emulator's own controls.

mod control;
mod description;
mod feed;
mod refusal;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::map_response_with_state,
    response::{IntoResponse, Response},
    routing::{any, get, post},
    serve::Listener,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    amqp::{listener::HttpSender, rewind::Rewind},
    broker::{Kind, Time, entity_path},
    faults::{Action, Point, Wrong},
    hub::Hub,
    journal::Event,
    sas,
};

use feed::Page;
use refusal::Refusal;

/// Connections that other ports found to speak HTTP, as a listener for axum.
pub(crate) struct Diverted {
    streams: mpsc::Receiver<Rewind>,
    address: SocketAddr,
}

impl Diverted {
    /// The sending half goes to the ports. `address` is only for the record.
    pub(crate) fn new(address: SocketAddr) -> (HttpSender, Self) {
        let (sender, streams) = mpsc::channel(16);
        (sender, Self { streams, address })
    }
}

impl Listener for Diverted {
    type Io = Rewind;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.streams.recv().await {
            Some(stream) => (stream, self.address),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// Serves on a port of its own and on whatever the other ports divert, until dropped.
pub(crate) async fn serve(listener: TcpListener, diverted: Diverted, hub: Arc<Hub>) {
    let router = router(hub);
    let own = axum::serve(listener, router.clone());
    let other = axum::serve(diverted, router);
    // Both run for ever; an error would have to come from the listener itself.
    tokio::join!(own, other).0.ok();
}

fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/$emulator/faults", post(control::add_faults).delete(control::clear_faults))
        .route("/$emulator/journal", get(control::journal))
        .route("/$emulator/queues", get(control::queues))
        .route("/$emulator/{action}", post(control::act))
        .fallback(any(manage))
        .layer(map_response_with_state(Arc::clone(&hub), date))
        .with_state(hub)
}

/// Every answer is dated by the clock of the service.
async fn date(State(hub): State<Arc<Hub>>, mut response: Response) -> Response {
    if let Ok(date) = HeaderValue::try_from(http_date(hub.now())) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// A date in the form of HTTP.
fn http_date(time: Time) -> String {
    let time = Timestamp::from_millisecond(time.millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn health() -> impl IntoResponse {
    axum::Json(json!({ "status": "healthy", "message": "Service is healthy." }))
}

async fn manage(
    State(hub): State<Arc<Hub>>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    authorize(&hub, &headers)?;
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    let path = path.trim_matches('/').to_owned();
    let page = Page::read(query.as_deref().unwrap_or_default());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let base = format!("https://{host}");
    let answer = match method {
        Method::GET => match fault(&hub, &path) {
            Some(Action::Http(Wrong::Status(status))) => return Err(scripted(status)),
            Some(Action::Http(Wrong::Zeros)) => without_counts(&read(&hub, &base, &path, page)?),
            Some(_) | None => read(&hub, &base, &path, page)?,
        },
        Method::PUT => {
            let update = headers.contains_key(header::IF_MATCH);
            let text = String::from_utf8_lossy(&body);
            description::put(&hub, &path, &text, update)?;
            let entry = read(&hub, &base, &path, page)?;
            let status = if update { StatusCode::OK } else { StatusCode::CREATED };
            return Ok((status, [(header::CONTENT_TYPE, ATOM)], entry).into_response());
        }
        Method::DELETE => {
            hub.run(|broker, _| broker.remove(&path))?;
            return Ok(StatusCode::OK.into_response());
        }
        _ => return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "The method is not supported.")),
    };
    Ok(([(header::CONTENT_TYPE, ATOM)], answer).into_response())
}

fn fault(hub: &Hub, path: &str) -> Option<Action> {
    let action = hub.faults.strike(Point::Admin, &[path])?;
    hub.journal.record([Event::Fault { what: format!("{:?} {path}: {action:?}", Point::Admin) }]);
    Some(action)
}

fn scripted(status: u16) -> Refusal {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    Refusal::new(status, "The request is refused by a scripted fault.")
}

/// The same entry with 0 for each count and the size.
fn without_counts(entry: &str) -> String {
    let mut text = String::new();
    let mut rest = entry;
    while let Some((before, after)) = rest.split_once('>') {
        text.push_str(before);
        text.push('>');
        let counted = ["MessageCount", "SizeInBytes"].iter().any(|name| before.ends_with(name));
        rest = match after.split_once('<') {
            Some((number, _)) if counted && !number.is_empty() => {
                text.push('0');
                &after[number.len()..]
            }
            _ => after,
        };
    }
    text + rest
}

/// Content type of all entries and feeds.
const ATOM: &str = "application/atom+xml;type=entry;charset=utf-8";

fn read(hub: &Hub, base: &str, path: &str, page: Page) -> Result<String, Refusal> {
    let lower = path.to_lowercase();
    let kind = |wanted: Kind| move |_: &str, kind: Kind| kind == wanted;
    if lower == "$namespaceinfo" {
        return Ok(feed::namespace(base));
    }
    if lower == "$resources/queues" {
        return Ok(feed::list(hub, base, page, kind(Kind::Queue)));
    }
    if lower == "$resources/topics" {
        return Ok(feed::list(hub, base, page, kind(Kind::Topic)));
    }
    if lower.ends_with("/subscriptions") {
        let below = format!("{lower}/");
        return Ok(feed::list(hub, base, page, |name: &str, kind| {
            kind == Kind::Subscription && entity_path(name).starts_with(&below)
        }));
    }
    if let Some(stem) = lower.strip_suffix("/rules").map(str::len) {
        return feed::rules(hub, base, &path[..stem]);
    }
    feed::one(hub, base, path)
}

fn authorize(hub: &Hub, headers: &HeaderMap) -> Result<(), Refusal> {
    let access = hub.access();
    if !access.enforced {
        return Ok(());
    }
    let unauthorized = |detail: &str| Refusal::new(StatusCode::UNAUTHORIZED, detail);
    let token = headers.get(header::AUTHORIZATION).and_then(|token| token.to_str().ok());
    let token = token.ok_or_else(|| unauthorized("MissingToken: the Authorization header is missing."))?;
    let now = hub.now();
    if sas::is_sas(token) {
        let verified =
            sas::verify(token, &access.rules, now).map_err(|refusal| unauthorized(&refusal.to_string()))?;
        let managing = verified.claims.manage;
        return if managing { Ok(()) } else { Err(unauthorized("Manage claim is required.")) };
    }
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    access.check(token, "", now).map(drop).map_err(|text| unauthorized(&text))
}
