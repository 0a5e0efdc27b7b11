//! Calls against servers and proxies of a few lines.

use std::future::Future;

use jiff::Timestamp;
use shared::reason::chain;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::{
    http_client::{Client, Timeouts},
    identity::{self, Bearer},
};

/// The path of whom all calls are about.
const USER: &str = "/v1.0/users/11111111-2222-4333-8444-555555555555?$select=id";
const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
/// Long enough to be no matter, for what is not about time.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

/// A server that gives these answers, each on a connection of its own and then `after` happens to it; and what
/// it heard.
async fn server<A>(
    answers: &'static [&'static str],
    after: impl Fn(TcpStream) -> A + Send + 'static,
) -> (String, mpsc::UnboundedReceiver<String>)
where
    A: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let (heard, hearing) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.expect("a request"));
            }
            heard.send(String::from_utf8(request).expect("text")).expect("somebody asks");
            stream.write_all(answer.as_bytes()).await.expect("written");
            after(stream).await;
        }
    });
    (address, hearing)
}

async fn hold(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

async fn close(stream: TcpStream) {
    drop(stream);
}

/// The one token of everybody.
struct Token;

#[async_trait]
impl TokenProvider for Token {
    async fn token(&self) -> Result<Bearer, identity::Error> {
        Ok(Bearer::new("a.b.c", Timestamp::MAX).expect("a token"))
    }

    async fn renew(&self, _: &Bearer) -> Result<Bearer, identity::Error> {
        self.token().await
    }

    async fn forget(&self, _: &Bearer) {}
}

fn graph(root: &str, proxy: Option<&str>, connect: Duration, request: Duration) -> GraphClient {
    let timeouts = Timeouts { connect, request };
    let http = match proxy {
        Some(proxy) => Client::by_proxy(timeouts, reqwest::Proxy::all(proxy).expect("a proxy")),
        None => Client::new(timeouts, None),
    };
    let root = root.parse().expect("an address");
    let options = Options { root, reading: ReadPolicy::default(), priority: ThrottlePriority::Normal };
    GraphClient::new(&http.expect("a client"), Arc::new(Token), &options)
}

async fn get(graph: &GraphClient) -> Result<Response, CallFailure> {
    let user = UserId::parse("11111111-2222-4333-8444-555555555555").expect("an id");
    match graph.send(&graph.get(user, "id", Priority::Live)).await {
        Ok(response) => Ok(response),
        Err(Error::Unreachable(cause)) => Err(cause),
        Err(error) => panic!("{error:?}"),
    }
}

/// What the log may show of a failed call.
#[track_caller]
fn told(cause: &CallFailure) -> String {
    let told = chain(cause);
    for text in [&told, &format!("{cause:?}")] {
        assert!(!text.contains("/v1.0") && !text.contains("11111111"), "a user in {text}");
    }
    told
}

#[track_caller]
fn says(asked: &str, lines: &[&str]) {
    for line in lines {
        assert!(asked.contains(&format!("\r\n{line}\r\n")), "{line} is not in {asked}");
    }
}

#[tokio::test]
async fn a_request_says_who_calls_and_whom() {
    let (address, mut heard) = server(&[EMPTY], hold).await;
    let response = get(&graph(&format!("http://{address}"), None, LONG, LONG)).await.expect("answered");
    assert_eq!(response.status(), 204);
    let asked = heard.recv().await.expect("heard");
    assert!(asked.starts_with(&format!("GET {USER} HTTP/1.1\r\n")), "{asked}");
    let agent = concat!("user-agent: contactsync/", env!("CARGO_PKG_VERSION"));
    says(&asked, &[&format!("host: {address}"), "accept: */*", agent, "authorization: Bearer a.b.c"]);
    assert_eq!(asked.lines().count(), 7, "no more than these and an id: {asked}");
}

#[tokio::test]
async fn a_body_that_dribbles_is_given_up_when_the_time_of_the_call_is_over() {
    const DRIBBLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{";
    let (address, _heard) = server(&[DRIBBLE], |mut stream| async move {
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(SHORT / 4).await;
        }
    })
    .await;
    let mut response =
        get(&graph(&format!("http://{address}"), None, LONG, SHORT * 30)).await.expect("a status");
    let cause = read_body(&mut response).await.expect_err("it never ends");
    assert_eq!(told(&cause), "no answer within connection.request_timeout");
}

#[tokio::test]
async fn an_answer_that_never_comes_or_breaks_off_is_told_apart() {
    let (address, _heard) = server(&[""], hold).await;
    let cause = get(&graph(&format!("http://{address}"), None, LONG, SHORT)).await.expect_err("silence");
    assert_eq!(told(&cause), "no answer within connection.request_timeout");

    let (address, _heard) = server(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"], close).await;
    let mut response = get(&graph(&format!("http://{address}"), None, LONG, LONG)).await.expect("a status");
    let cause = read_body(&mut response).await.expect_err("broken off");
    assert!(matches!(cause, CallFailure::Broken(_)), "{cause:?}");
    assert!(told(&cause).contains("end of file before message length reached"), "{}", told(&cause));
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_told_by_its_reason() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let cause = get(&graph(&format!("https://{address}"), None, SHORT, LONG)).await;
    assert_eq!(told(&cause.expect_err("nobody speaks tls")), "no connection was established in time");

    // Nobody listens on the reserved port 1.
    let cause = get(&graph("http://127.0.0.1:1", None, LONG, LONG)).await.expect_err("nobody listens");
    assert!(matches!(cause, CallFailure::Broken(_)), "{cause:?}");
    let told = told(&cause);
    assert!(told.starts_with("error sending request: ") && told.contains("refused"), "{told}");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let (address, mut heard) = server(&[EMPTY, EMPTY, EMPTY], close).await;
    let graph = graph(&format!("http://{address}"), None, LONG, LONG);
    for _ in 0..3 {
        assert_eq!(get(&graph).await.expect("answered").status(), 204);
        heard.recv().await.expect("heard");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_others() {
    const ELSEWHERE: &str =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (address, _heard) = server(&[ELSEWHERE], hold).await;
    let response = get(&graph(&format!("http://{address}"), None, LONG, LONG)).await.expect("answered");
    assert_eq!(response.status(), 302);
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_shown_the_credential_and_no_token() {
    let (address, mut heard) = server(&["HTTP/1.1 407 Authenticate\r\n\r\n"], hold).await;
    let proxy = format!("http://user:word@{address}");
    let cause = get(&graph("https://graph.example", Some(&proxy), LONG, LONG)).await.expect_err("refused");
    let told = told(&cause);
    assert!(told.ends_with("tunnel error: proxy authorization required") && !told.contains("word"), "{told}");
    let asked = heard.recv().await.expect("heard");
    assert!(
        asked.starts_with("CONNECT graph.example:443 HTTP/1.1\r\nHost: graph.example:443\r\n"),
        "{asked}"
    );
    assert!(asked.to_lowercase().contains("proxy-authorization: basic dxnlcjp3b3jk\r\n"), "{asked}");
    assert!(!asked.contains("a.b.c"), "{asked}");
}

#[tokio::test]
async fn without_tls_a_proxy_forwards_the_whole_address() {
    let (address, mut heard) = server(&[EMPTY], hold).await;
    let proxy = format!("http://user:word@{address}");
    let graph = graph("http://graph.example:8080", Some(&proxy), LONG, LONG);
    assert_eq!(get(&graph).await.expect("answered").status(), 204);
    let asked = heard.recv().await.expect("heard");
    assert!(asked.starts_with(&format!("GET http://graph.example:8080{USER} HTTP/1.1\r\n")), "{asked}");
    says(&asked, &["host: graph.example:8080", "proxy-authorization: Basic dXNlcjp3b3Jk"]);
}

#[tokio::test]
async fn what_is_on_this_machine_is_reached_without_the_proxy() {
    for name in ["127.0.0.1", "localhost"] {
        let (address, mut heard) = server(&[EMPTY], hold).await;
        let root = format!("http://{}", address.replace("127.0.0.1", name));
        let graph = graph(&root, Some("http://user:word@127.0.0.1:1"), LONG, LONG);
        assert_eq!(get(&graph).await.expect("answered").status(), 204);
        let asked = heard.recv().await.expect("heard");
        assert!(asked.starts_with(&format!("GET {USER} HTTP/1.1\r\n")), "{asked}");
        assert!(!asked.contains("proxy-authorization"), "{asked}");
    }
}

const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";

/// Reads the first page of a list that says this.
async fn first_page(body: &str) -> Result<UserPage, Error> {
    let answer: &'static str = format!("{PAGE}{body}").leak();
    let (address, _heard) = server(vec![answer].leak(), close).await;
    let graph = graph(&format!("http://{address}"), None, LONG, LONG);
    let query = UserQuery::new([], &shared::admission::Terms::default());
    graph.users_at(&graph.first_page(&query), &query).await
}

#[tokio::test]
async fn a_page_that_leads_elsewhere_or_cannot_be_read_whole_is_not_the_end_of_a_list() {
    const ID: &str = r#"{"id": "11111111-2222-4333-8444-555555555555", "mail": null}"#;
    let page = first_page(&format!(r#"{{"value": [{ID}]}}"#)).await.expect("a page");
    assert_eq!((page.users.len(), page.next), (1, None));
    for (users, link) in [
        (ID, r#""https://elsewhere.example/v1.0/users?$skiptoken=x""#),
        (ID, r#""http://127.0.0.1/beta/users?$skiptoken=x""#),
        (ID, r#""no address""#),
        (r#"{"id": "no id"}"#, "null"),
        ("7", "null"),
    ] {
        let page = first_page(&format!(r#"{{"value": [{users}], "@odata.nextLink": {link}}}"#)).await;
        assert!(matches!(page, Err(Error::NotGraph { .. })), "{users} {link}");
    }
    let cut = first_page(r#"{"value": [{"#).await;
    assert!(matches!(cut, Err(Error::NotGraph { .. })));
    let next = r#""http://127.0.0.1:1/v1.0/users?$skiptoken=x""#;
    let page =
        first_page(&format!(r#"{{"value": [{ID}], "@odata.nextLink": {next}}}"#)).await.expect("a page");
    let url = page.next.expect("a link");
    assert_ne!(url.port(), Some(1), "it goes to where we asked");
    assert_eq!(url.query(), Some("$skiptoken=x"));
}
