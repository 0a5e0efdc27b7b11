//! Health, metrics and the status page over HTTP. Whoever asks is answered from what is in memory; nobody who asks
//! can hold the pipeline up.

use std::{
    convert::Infallible,
    io::ErrorKind,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::future::join_all;
use http::uri::Authority;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue,
        X_CONTENT_TYPE_OPTIONS,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{Instant, timeout},
};
use url::form_urlencoded;

use super::{
    door::{self, Answered},
    section::{ReadinessFault, Section},
    status::StatusPage,
};
use crate::{
    http_client::is_on_this_machine,
    settings::{SettingsProblem, SettingsProblems},
    telemetry::{Observer, prometheus, together},
};

/// The page: one file, with style and script inside.
const PAGE: &str = include_str!("page.html");

/// Time for the head of a request to come in.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for a whole connection: whoever asks again and again and reads nothing must not stay. Prometheus and browsers
/// open another one.
const LONGEST: Duration = Duration::from_secs(15);
/// Time for what is being answered when that is over.
const FAREWELL: Duration = Duration::from_secs(2);
/// Requests by one connection.
const REQUESTS: usize = 32;
/// Bytes of the head of a request.
const LONGEST_HEAD: usize = 16 * 1024;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// What is answered from: one for each target.
#[derive(Debug)]
struct Site(Vec<Section>);

/// Begins to listen. A port that cannot be had is a fault of the settings.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, SettingsProblems> {
    door::open(address).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AddrInUse => "is in use by another program, perhaps by another worker".to_owned(),
            ErrorKind::AddrNotAvailable => "is no address of this machine".to_owned(),
            ErrorKind::PermissionDenied => "may not be listened on; ports below 1024 need rights".to_owned(),
            _ => format!("cannot be listened on: {error}"),
        };
        let text =
            format!("{address} {why}; choose another, or leave it empty to do without health and metrics");
        SettingsProblem::new("http.listen", &text).into()
    })
}

/// Answers until the process ends.
pub(crate) async fn serve(listener: TcpListener, observers: Vec<Arc<Observer>>) {
    let site = Arc::new(Site(observers.into_iter().map(Section::new).collect()));
    // A page in a browser could make a name of its own mean this machine and so read what only this machine is told.
    // Where others may ask anyway, by addresses and names that are not known here, there is nothing to guard.
    let guarded = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let answer = |stream, answered| converse(stream, Arc::clone(&site), guarded, answered);
    let histories = join_all(site.0.iter().map(|section| section.history.follow(&section.observer.metrics)));
    tokio::join!(histories, door::watch(listener, answer));
}

async fn converse<S>(stream: S, site: Arc<Site>, guarded: bool, answered: Answered)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let asked = AtomicUsize::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let mut response =
            if guarded && !is_meant(&request) { misdirected() } else { respond(&site, &request) };
        if asked.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answered.store(true, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut ended = timeout(LONGEST, connection.as_mut()).await;
    if ended.is_err() {
        connection.as_mut().graceful_shutdown();
        ended = timeout(FAREWELL, connection).await;
    }
    if let Ok(Err(error)) = ended {
        tracing::debug!(%error, "a connection to http.listen ended early");
    }
}

/// Whether a request names this machine as the host it is for, or none.
fn is_meant<B>(request: &Request<B>) -> bool {
    let named = |authority: &Authority| is_on_this_machine(authority.host());
    let in_header = |host: &HeaderValue| Authority::try_from(host.as_bytes()).is_ok_and(|host| named(&host));
    request.uri().authority().is_none_or(named) && request.headers().get_all(HOST).iter().all(in_header)
}

fn misdirected() -> Response<Full<Bytes>> {
    let text = "this worker listens on this machine only, so ask it as localhost or 127.0.0.1; if another server \
                passes requests on, let it send that as Host\n";
    answer(StatusCode::MISDIRECTED_REQUEST, TEXT, text.to_owned())
}

fn respond<B>(site: &Site, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/" => page(),
        "/status.json" => status(site, request.uri().query().unwrap_or_default()),
        "/livez" => live(site),
        "/readyz" => ready(site, wants_json(request)),
        "/metrics" => {
            let read = |section: &Section| {
                section.observer.refresh();
                section.observer.metrics.read()
            };
            let all = together(site.0.iter().map(read).collect());
            answer(StatusCode::OK, prometheus::CONTENT_TYPE, prometheus::render(&all))
        }
        _ => {
            let text = "nothing here; there are / /livez /readyz /metrics /status.json\n";
            answer(StatusCode::NOT_FOUND, TEXT, text.to_owned())
        }
    }
}

/// How things are: of one target as ever, of several one after another, or of the one that is asked for.
fn status(site: &Site, query: &str) -> Response<Full<Bytes>> {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "target");
    match (&*site.0, asked) {
        ([one], None) => json(StatusCode::OK, &one.status()),
        (all, None) => json(StatusCode::OK, &Statuses { targets: all.iter().map(Section::status).collect() }),
        (all, Some((_, name))) => match all.iter().find(|section| section.name() == Some(&*name)) {
            Some(section) => json(StatusCode::OK, &section.status()),
            None => {
                answer(StatusCode::NOT_FOUND, TEXT, "this worker has no target of that name\n".to_owned())
            }
        },
    }
}

/// The document of a worker with several targets.
#[derive(Serialize)]
struct Statuses {
    targets: Vec<StatusPage>,
}

/// Only a restart frees a pipeline that stands still; the others go on right after it where they were.
fn live(site: &Site) -> Response<Full<Bytes>> {
    let now = Instant::now();
    let still = site.0.iter().filter_map(|section| Some((section, section.observer.health.lifeless(now)?)));
    let text = still.fold(String::new(), |text, (section, quiet)| {
        let of = section.name().map_or_else(String::new, |name| format!(" of target {name}"));
        format!("{text}the pipeline{of} has stood still for {} s; restart the worker\n", quiet.as_secs())
    });
    if text.is_empty() {
        return answer(StatusCode::OK, TEXT, "alive\n".to_owned());
    }
    answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    faults: Vec<ReadinessFault>,
    /// What must be seen to, though it does not keep the worker from being ready.
    warnings: Vec<ReadinessFault>,
}

/// Ready only if every target is: whoever looks has to hear of one that is not, and nothing is kept from the others by it.
fn ready(site: &Site, as_json: bool) -> Response<Full<Bytes>> {
    let faults: Vec<_> = site.0.iter().flat_map(Section::faults).collect();
    let ready = faults.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let warnings: Vec<_> = site.0.iter().flat_map(Section::warnings).collect();
    if as_json {
        return json(status, &Readiness { ready, faults, warnings });
    }
    let line = |kind: &str, it: &ReadinessFault| {
        let target = it.target.as_ref().map_or_else(String::new, |target| format!("target {target}, "));
        let since = it.since.as_ref().map_or_else(String::new, |since| format!(" (since {since})"));
        let next = it.next_try.as_ref().map_or_else(String::new, |next| format!("; next try at {next}"));
        format!("{kind}, {target}{}: {}; {}{since}{next}\n", it.check, it.fault, it.remedy)
    };
    let mut text = if ready { "ready\n".to_owned() } else { String::new() };
    text.extend(faults.iter().map(|fault| line("not ready", fault)));
    text.extend(warnings.iter().map(|fault| line("warning", fault)));
    answer(status, TEXT, text)
}

fn wants_json<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get(hyper::header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains(JSON))
}

fn page() -> Response<Full<Bytes>> {
    let mut response = answer(StatusCode::OK, HTML, PAGE.to_owned());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy().clone());
    response
}

/// The page may run its own script and style and ask this host, and nothing else.
fn policy() -> &'static HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = |tag: &str| {
            let inside = PAGE.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
            let digest = Sha256::digest(inside.map_or("", |(inside, _)| inside).as_bytes());
            format!("'sha256-{}'", STANDARD.encode(digest))
        };
        let text = format!(
            "default-src 'none'; connect-src 'self'; img-src data:; script-src {}; style-src {}; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            hash("script"),
            hash("style")
        );
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    // Our own types always serialize.
    answer(status, JSON, serde_json::to_string(value).unwrap_or_default())
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use servicebus::LinkState;
    use shared::gate::State;
    use tokio::sync::watch;

    use super::*;
    use crate::telemetry::{
        Constants,
        health::Phase,
        metrics::tests::constants,
        observer::{Load, tests::observer},
    };

    /// An engine that holds nothing.
    fn idle(state: State) -> Load {
        Load {
            state,
            waits: None,
            in_flight: 0,
            held: 0,
            reading: 0,
            lanes: 0,
            rate: 20.0,
            went_back: 0,
            times_cut: 0,
        }
    }

    fn site(state: State) -> Site {
        let observer = observer();
        observer.turn(Phase::Running, &idle(state), Instant::now());
        Site(vec![Section::new(observer)])
    }

    async fn ask(site: &Site, method: Method, path: &str, accept: &str) -> (u16, String) {
        let request =
            Request::builder().method(method).uri(path).header("accept", accept).body(()).expect("valid");
        let response = respond(site, &request);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("in memory").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn every_path_answers() {
        let site = site(State::Open);
        let cases = [
            ("/livez", 200, "alive\n"),
            ("/readyz", 200, "ready\n"),
            ("/metrics", 200, "contactsync_ready 1\n"),
            ("/status.json", 200, "\"state\":\"open\""),
            ("/", 200, "<title>contactsync</title>"),
            ("/nowhere", 404, "/readyz"),
        ];
        for (path, status, part) in cases {
            let (seen, text) = ask(&site, Method::GET, path, "*/*").await;
            assert!(seen == status && text.contains(part), "{path}: {seen} {text}");
        }
        assert_eq!(ask(&site, Method::POST, "/", "*/*").await.0, 405);
        assert_eq!(
            ask(&site, Method::GET, "/readyz", JSON).await.1,
            r#"{"ready":true,"faults":[],"warnings":[]}"#
        );
    }

    #[tokio::test]
    async fn readiness_says_why_not_and_what_to_do() {
        let site = site(State::BreakerOpen);
        let (status, text) = ask(&site, Method::GET, "/readyz", "*/*").await;
        assert_eq!(status, 503);
        assert!(text.starts_with("not ready, breaker: writes of many users failed in a row"), "{text}");
        assert!(
            ask(&site, Method::GET, "/status.json", "*/*").await.1.contains("\"state\":\"breaker_open\"")
        );
    }

    /// A target of that name.
    fn section(name: &str, state: State) -> Section {
        let constants = Constants { target: Some(name.into()), ..constants() };
        let observer = Observer::new(constants, watch::channel(LinkState::Ready).1, 20.0);
        observer.turn(Phase::Running, &idle(state), Instant::now());
        Section::new(Arc::new(observer))
    }

    #[tokio::test]
    async fn of_several_targets_each_is_told_by_its_name() {
        let site = Site(vec![section("b2c", State::Open), section("external-id", State::BreakerOpen)]);
        let (status, text) = ask(&site, Method::GET, "/readyz", "*/*").await;
        assert_eq!(status, 503);
        assert!(text.starts_with("not ready, target external-id, breaker: writes of many"), "{text}");
        assert!(!text.contains("b2c"), "{text}");
        let (_, text) = ask(&site, Method::GET, "/readyz", JSON).await;
        assert!(
            text.starts_with(r#"{"ready":false,"faults":[{"target":"external-id","check":"breaker""#),
            "{text}"
        );
        let (_, text) = ask(&site, Method::GET, "/metrics", "*/*").await;
        for part in ["contactsync_ready{target=\"b2c\"} 1\n", "contactsync_ready{target=\"external-id\"} 0\n"]
        {
            assert!(text.contains(part), "{text}");
        }
        let (_, text) = ask(&site, Method::GET, "/status.json", "*/*").await;
        let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!([&all["targets"][0]["state"], &all["targets"][1]["state"]], ["open", "breaker_open"]);
        for (query, expected) in
            [("target=external-id", 200), ("target=b3c", 404), ("other=1&target=b2c", 200), ("target=", 404)]
        {
            let (status, _) = ask(&site, Method::GET, &format!("/status.json?{query}"), "*/*").await;
            assert_eq!(status, expected, "{query}");
        }
        assert_eq!(ask(&site, Method::GET, "/livez", "*/*").await, (200, "alive\n".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_pipeline_that_stands_still_is_told() {
        let site = Site(vec![section("b2c", State::Open), section("external-id", State::Open)]);
        tokio::time::advance(Duration::from_secs(31)).await;
        site.0[0].observer.health.beat(Phase::Running, Instant::now());
        let (status, text) = ask(&site, Method::GET, "/livez", "*/*").await;
        let told = "the pipeline of target external-id has stood still for 31 s; restart the worker\n";
        assert_eq!((status, text.as_str()), (503, told));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_although_nobody_reads_or_asks() {
        let (site, begun) = (Arc::new(site(State::Open)), Instant::now());
        for said in [b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(9), b"GET / HT".to_vec(), Vec::new()]
        {
            let (mut ours, theirs) = tokio::io::duplex(1_024);
            tokio::io::AsyncWriteExt::write_all(&mut ours, &said).await.expect("room");
            converse(theirs, Arc::clone(&site), false, Answered::default()).await;
        }
        assert!(begun.elapsed() <= 3 * (LONGEST + FAREWELL));
    }

    #[track_caller]
    fn check_meant(uri: &str, hosts: &[&str], meant: bool) {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        assert_eq!(is_meant(&request.body(()).expect("valid")), meant, "{uri} {hosts:?}");
    }

    #[test]
    fn only_requests_for_this_machine_are_meant() {
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:9464"] {
            check_meant("/", &[host], true);
        }
        check_meant("/", &[], true);
        check_meant("http://localhost:1/livez", &["localhost"], true);
        for host in [
            "evil.test",
            "evil.test:9464",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "localhost@evil.test",
            "",
        ] {
            check_meant("/", &[host], false);
        }
        check_meant("/", &["localhost", "evil.test"], false);
        check_meant("http://evil.test/", &["localhost"], false);
    }

    #[test]
    fn the_page_may_run_nothing_but_itself() {
        let policy = policy().to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        let page = PAGE.replace("http://www.w3.org/2000/svg", "");
        assert!(!["http:", "https:", "src=", "innerHTML"].iter().any(|outside| page.contains(outside)));
    }

    #[tokio::test]
    async fn a_port_in_use_is_a_fault_of_the_settings() {
        let taken = bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = taken.local_addr().expect("bound");
        let problems = bind(address).expect_err("in use").to_string();
        assert!(
            problems.contains(&format!("http.listen: {address} is in use by another program")),
            "{problems}"
        );
    }
}
