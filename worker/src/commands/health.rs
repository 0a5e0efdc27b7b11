//! `contactsync health`: whether the worker on this machine is alive, for container engines that run a command to
//! find out, in images that hold nothing else to run.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail, ensure};

use super::{global::Global, print};
use crate::settings;

/// How long one step of asking may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than the answers hold; whatever else listens there is not read without end.
const LONGEST: u64 = 16 * 1024;

/// Options of `health`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ask whether it is ready as well: connected, with a token, and not paused.
    #[arg(long)]
    ready: bool,
}

/// Asks the worker that runs with the same settings, and succeeds if it says yes.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    // A secret that cannot be read just now is for the worker to complain about.
    // The same for all targets.
    let parts = settings::examine(&global.file(), settings::environment())?.each.pop();
    let http =
        parts.and_then(|parts| parts.http).context("http.listen is not right; contactsync check says why")?;
    let listen = http.listen.context("http.listen is empty, so there is nobody to ask")?;
    let path = if args.ready { "/readyz" } else { "/livez" };
    let answer = ask(reachable(listen), path).with_context(|| format!("nobody answers at {listen}"))?;
    print(&answer.text)?;
    Ok(ExitCode::from(u8::from(answer.status != 200)))
}

/// Where to reach somebody who listens at this address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    text: String,
}

/// One request without a client library: it needs neither TLS nor a proxy nor a runtime.
fn ask(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> anyhow::Result<Answer> {
    let Some((head, text)) = answer.split_once("\r\n\r\n") else { bail!("that is no answer of HTTP") };
    let mut words = head.split(' ');
    ensure!(words.next().is_some_and(|word| word.starts_with("HTTP/1.")), "that is no answer of HTTP");
    let status = words.next().and_then(|word| word.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What is heard from a server that answers one request with these bytes.
    fn hear(bytes: &'static str) -> anyhow::Result<Answer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            let mut request = [0; 256];
            let length = stream.read(&mut request)?;
            assert!(request[..length].starts_with(b"GET /livez HTTP/1.1\r\n"));
            stream.write_all(bytes.as_bytes())
        });
        let answer = ask(address, "/livez");
        server.join().expect("the server ran")?;
        answer
    }

    #[test]
    fn status_and_text_are_taken_from_the_answer() {
        let answer =
            hear("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 7\r\n\r\npaused\n").expect("heard");
        assert_eq!(answer, Answer { status: 503, text: "paused\n".to_owned() });
    }

    #[test]
    fn somebody_else_is_not_taken_for_the_worker() {
        for (bytes, error) in [
            ("", "that is no answer of HTTP"),
            ("220 mail.example.test ESMTP\r\n\r\n", "that is no answer of HTTP"),
            ("HTTP/1.1 fine\r\n\r\n", "the answer has no status"),
        ] {
            assert_eq!(hear(bytes).expect_err("refused").to_string(), error);
        }
    }

    #[test]
    fn an_address_that_means_all_is_asked_on_this_machine() {
        for (listen, asked) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("127.0.0.2:80", "127.0.0.2:80"),
        ] {
            assert_eq!(reachable(listen.parse().expect("an address")).to_string(), asked);
        }
    }
}
