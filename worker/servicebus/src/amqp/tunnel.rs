//! A tunnel through an HTTP proxy.

use std::io::{self, ErrorKind};

use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::transport::Proxy;

/// No sensible proxy says more before it opens the tunnel.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Asks the proxy for a tunnel to `authority` (host and port).
pub(super) async fn open(proxy: &Proxy, authority: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((&*proxy.host, proxy.port)).await?;
    let authorization = proxy
        .authorization
        .as_ref()
        .map_or_else(String::new, |value| format!("Proxy-Authorization: {}\r\n", value.expose_secret()));
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let status = read_answer(&mut stream).await?;
    if status == 200 {
        return Ok(stream);
    }
    Err(io::Error::other(format!("the proxy {}:{} answered with status {status}", proxy.host, proxy.port)))
}

/// Reads up to the empty line. The service speaks only after us, so nothing behind it is read by mistake.
async fn read_answer(stream: &mut TcpStream) -> io::Result<u16> {
    let mut lines = BufReader::new(stream.take(LONGEST_ANSWER)).lines();
    let mut status = None;
    while let Some(line) = lines.next_line().await? {
        if line.is_empty() {
            return status.flatten().ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidData, "the answer of the proxy is not that of a proxy")
            });
        }
        let second_word = || line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok();
        status.get_or_insert_with(second_word);
    }
    Err(io::Error::new(ErrorKind::UnexpectedEof, "the proxy closed the connection"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A proxy that gives one answer and then repeats what it hears.
    async fn proxy(answer: &'static str) -> (Proxy, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(stream.read_u8().await.expect("a request"));
            }
            stream.write_all(answer.as_bytes()).await.expect("written");
            let mut echo = [0; 4];
            if stream.read_exact(&mut echo).await.is_ok() {
                stream.write_all(&echo).await.expect("written");
            }
            String::from_utf8(heard).expect("text")
        });
        (Proxy { host: "127.0.0.1".into(), port, authorization: Some("Basic YTpi".into()) }, served)
    }

    #[tokio::test]
    async fn a_tunnel_carries_bytes_after_the_proxy_agreed() {
        let (proxy, served) = proxy("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await;
        let mut tunnel = open(&proxy, "ns.example:443").await.expect("a tunnel");
        tunnel.write_all(b"AMQP").await.expect("written");
        let mut echo = [0; 4];
        tunnel.read_exact(&mut echo).await.expect("read");
        assert_eq!(&echo, b"AMQP");
        assert_eq!(
            served.await.expect("served"),
            "CONNECT ns.example:443 HTTP/1.1\r\nHost: ns.example:443\r\nProxy-Authorization: Basic YTpi\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn a_refusal_of_the_proxy_is_told_by_its_status_without_the_password() {
        for (answer, expected) in [
            ("HTTP/1.1 407 Authenticate\r\n\r\n", "answered with status 407"),
            ("HTTP/1.0 503 No\r\nx: y\r\n\r\n", "answered with status 503"),
            ("SSH-2.0-OpenSSH\r\n\r\n", "not that of a proxy"),
        ] {
            let (proxy, served) = proxy(answer).await;
            let error = open(&proxy, "ns.example:443").await.expect_err("refused").to_string();
            assert!(error.contains(expected) && !error.contains("YTpi"), "{error}");
            served.abort();
        }
    }
}
