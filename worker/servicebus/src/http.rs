//! Answers of HTTP servers, read no further than makes sense.

use reqwest::Response;

/// The body of an answer; `None` if it is longer than that, and then no more of it is read.
pub async fn body(response: &mut Response, longest: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > longest) {
        return Ok(None);
    }
    let mut body = Vec::with_capacity(announced.unwrap_or_default());
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > longest {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::{collection::vec, prelude::*};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::tls;

    /// A client that goes by no proxy.
    pub(crate) fn client() -> reqwest::Client {
        let tls = tls::trusting(None).expect("the certificates of the system");
        reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("a client")
    }

    /// What is read, up to 100 bytes, of an answer with these bytes.
    async fn read(answer: Vec<u8>) -> Result<Option<Vec<u8>>, reqwest::Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(stream.read_u8().await.expect("a request"));
            }
            // Whoever has read enough may close before all of it is written.
            drop(stream.write_all(&answer).await);
        });
        let mut response = client().get(url).send().await?;
        let read = body(&mut response, 100).await;
        server.await.expect("served");
        read
    }

    fn announced(length: usize, body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn an_answer_of_any_announced_length_costs_no_more_than_the_bound() {
        assert_eq!(read(announced(100, &[b'x'; 100])).await.expect("read"), Some(vec![b'x'; 100]));
        assert_eq!(read(announced(101, b"")).await.expect("read"), None);
        assert_eq!(read(announced(usize::MAX / 2, b"")).await.expect("read"), None);
        assert!(read(announced(50, b"{")).await.is_err(), "broken off");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(30) })]

        #[test]
        fn chunks_are_added_up(chunks in vec(1..60_usize, 0..6)) {
            let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for length in &chunks {
                answer.extend(format!("{length:x}\r\n{}\r\n", "y".repeat(*length)).bytes());
            }
            answer.extend(b"0\r\n\r\n");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let read = runtime.block_on(read(answer)).expect("read");
            let total = chunks.iter().sum::<usize>();
            prop_assert_eq!(read.map(|body| body.len()), (total <= 100).then_some(total));
        }
    }
}
