//! Connections against servers and proxies of a few lines.

use hyper_util::client::proxy::matcher::Matcher;
use shared::reason::chain;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;

const USER: &str = "/v1.0/users/11111111-2222-4333-8444-555555555555";
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

fn connections(root: &str, proxy: Option<&str>, connect: Duration, request: Duration) -> Connections {
    let matcher = Matcher::builder().all(proxy.unwrap_or_default()).build();
    let tls = http_client::tls(None).expect("tls");
    let root = root.parse().expect("an address");
    Connections::by(|root| route::by(&matcher, root), &root, Timeouts { connect, request }, tls)
        .expect("usable")
}

async fn get(connections: &Connections) -> Result<Answered, Cause> {
    connections.send(connections.request(Method::GET, PathAndQuery::from_static(USER), Bytes::new())).await
}

/// What the log may show of a failed call.
#[track_caller]
fn told(cause: &Cause) -> String {
    let told = chain(cause);
    for text in [&told, &format!("{cause:?}")] {
        assert!(!text.contains("/v1.0") && !text.contains("11111111"), "a user in {text}");
    }
    told
}

#[tokio::test]
async fn a_request_says_who_calls_and_whom() {
    let (address, mut heard) = server(&[EMPTY], hold).await;
    let connections = connections(&format!("http://{address}"), None, LONG, LONG);
    assert_eq!(get(&connections).await.expect("answered").status(), 204);
    let agent = http_client::USER_AGENT;
    assert_eq!(
        heard.recv().await.expect("heard"),
        format!("GET {USER} HTTP/1.1\r\nhost: {address}\r\naccept: */*\r\nuser-agent: {agent}\r\n\r\n")
    );
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
    let connections = connections(&format!("http://{address}"), None, LONG, SHORT * 30);
    let answered = get(&connections).await.expect("a status");
    let cause = answered.body(10_000).await.expect_err("it never ends");
    assert!(cause.is_timeout(), "{cause:?}");
    assert_eq!(told(&cause), "no answer within graph.request_timeout");
}

#[tokio::test]
async fn an_answer_that_never_comes_or_breaks_off_is_told_apart() {
    let (address, _heard) = server(&[""], hold).await;
    let cause = get(&connections(&format!("http://{address}"), None, LONG, SHORT)).await.err();
    assert!(cause.as_ref().is_some_and(Cause::is_timeout), "{cause:?}");

    let (address, _heard) = server(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"], close).await;
    let answered = get(&connections(&format!("http://{address}"), None, LONG, LONG)).await.expect("a status");
    let cause = answered.body(100).await.expect_err("broken off");
    assert!(!cause.is_timeout() && told(&cause).starts_with("error reading the answer: "), "{cause:?}");
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_told_by_its_reason() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let silent = connections(&format!("https://{address}"), None, SHORT, LONG);
    let cause = get(&silent).await.err().expect("nobody speaks tls");
    assert!(cause.is_timeout(), "{cause:?}");
    assert!(told(&cause).contains("no connection within graph.connect_timeout"));

    // Nobody listens on the reserved port 1.
    let cause = get(&connections("http://127.0.0.1:1", None, LONG, LONG)).await.err();
    let cause = cause.expect("nobody listens");
    assert!(!cause.is_timeout() && told(&cause).starts_with("error sending the request: "), "{cause:?}");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let (address, mut heard) = server(&[EMPTY, EMPTY, EMPTY], close).await;
    let connections = connections(&format!("http://{address}"), None, LONG, LONG);
    for _ in 0..3 {
        assert_eq!(get(&connections).await.expect("answered").status(), 204);
        heard.recv().await.expect("heard");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_others() {
    const ELSEWHERE: &str =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (address, _heard) = server(&[ELSEWHERE], hold).await;
    let answered = get(&connections(&format!("http://{address}"), None, LONG, LONG)).await.expect("answered");
    assert_eq!(answered.status(), 302);
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_shown_the_credential_once() {
    let (address, mut heard) = server(&["HTTP/1.1 407 Authenticate\r\n\r\n"], hold).await;
    let proxy = format!("http://user:word@{address}");
    let connections = connections("https://graph.example", Some(&proxy), LONG, LONG);
    let cause = get(&connections).await.err().expect("refused");
    let told = told(&cause);
    assert!(told.ends_with("tunnel error: proxy authorization required") && !told.contains("word"), "{told}");
    let asked = heard.recv().await.expect("heard");
    assert!(
        asked.starts_with("CONNECT graph.example:443 HTTP/1.1\r\nHost: graph.example:443\r\n"),
        "{asked}"
    );
    assert!(asked.contains("proxy-authorization: Basic dXNlcjp3b3Jk\r\n"), "{asked}");
    let request = connections.request(Method::GET, PathAndQuery::from_static(USER), Bytes::new());
    assert!(!request.headers().contains_key(PROXY_AUTHORIZATION), "graph is none of its addressees");
}

#[tokio::test]
async fn without_tls_a_proxy_forwards_the_whole_address() {
    let (address, mut heard) = server(&[EMPTY], hold).await;
    let proxy = format!("http://user:word@{address}");
    let connections = connections("http://graph.example:8080", Some(&proxy), LONG, LONG);
    assert_eq!(get(&connections).await.expect("answered").status(), 204);
    let asked = heard.recv().await.expect("heard");
    assert!(asked.starts_with(&format!("GET http://graph.example:8080{USER} HTTP/1.1\r\n")), "{asked}");
    assert!(asked.contains("host: graph.example:8080\r\n"), "{asked}");
    assert!(asked.contains("proxy-authorization: Basic dXNlcjp3b3Jk\r\n"), "{asked}");
}

#[tokio::test]
async fn what_is_on_this_machine_is_reached_without_the_proxy() {
    for name in ["127.0.0.1", "localhost"] {
        let (address, mut heard) = server(&[EMPTY], hold).await;
        let root = format!("http://{}", address.replace("127.0.0.1", name));
        let connections = connections(&root, Some("http://user:word@127.0.0.1:1"), LONG, LONG);
        assert_eq!(get(&connections).await.expect("answered").status(), 204);
        let asked = heard.recv().await.expect("heard");
        assert!(asked.starts_with(&format!("GET {USER} HTTP/1.1\r\n")), "{asked}");
        assert!(!asked.contains("proxy-authorization"), "{asked}");
    }
}
