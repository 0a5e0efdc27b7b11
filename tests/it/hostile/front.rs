//! A server that stands where Graph, the login host or another service should, and lies in every way that HTTP allows;
//! or lets everything through to the real one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What is never written in full: as much as would fill the memory of whoever keeps it.
const ENDLESS: usize = 400 << 20;

/// What is written at once of it.
const PIECE: usize = 1 << 16;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything goes to the real service.
    Well,
    /// A body without end, whose length nobody announced, with this status.
    Endless(u16),
    /// The same in chunks.
    Chunked(u16),
    /// A length of nearly 2^64 is announced.
    Announced(u16),
    /// A body that unpacks to a hundred times its length.
    Gzip(u16),
    /// A hundred thousand lists inside each other.
    Deep(u16),
    /// The same behind a good beginning, as of a user or a token.
    DeepInside(u16),
    /// Fields in the head without end.
    Headers,
    /// Provisional answers without end.
    Provisional,
    /// A good answer, a byte at a time and never whole.
    Drip,
    /// Bytes that are none of HTTP.
    Garbage,
    /// Less than was announced.
    Short,
    /// Two lengths.
    TwoLengths,
    /// More answers than were asked for.
    Smuggled,
    /// Nothing.
    Silence,
    /// Go elsewhere: to this front itself, where a follower is counted.
    Redirect,
}

impl Mode {
    /// All lies.
    pub(super) const ALL: [Self; 21] = [
        Self::Endless(200),
        Self::Endless(400),
        Self::Chunked(200),
        Self::Chunked(400),
        Self::Announced(200),
        Self::Announced(400),
        Self::Gzip(200),
        Self::Gzip(400),
        Self::Deep(200),
        Self::Deep(400),
        Self::DeepInside(200),
        Self::DeepInside(400),
        Self::Headers,
        Self::Provisional,
        Self::Drip,
        Self::Garbage,
        Self::Short,
        Self::TwoLengths,
        Self::Smuggled,
        Self::Silence,
        Self::Redirect,
    ];
}

/// What it saw.
#[derive(Debug, Default)]
struct Seen {
    requests: Vec<String>,
}

/// The server.
pub(super) struct Front {
    /// Its host and port.
    pub(super) address: String,
    mode: watch::Sender<Mode>,
    seen: Arc<Mutex<Seen>>,
}

impl Front {
    /// Stands before the service at `real` (host and port), if there is one.
    pub(super) async fn start(real: &str, mode: Mode) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (mode, current) = watch::channel(mode);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (heard, real) = (Arc::clone(&seen), real.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut current, heard, real) = (current.clone(), Arc::clone(&heard), real.clone());
                tokio::spawn(async move {
                    let mode = *current.borrow_and_update();
                    tokio::select! {
                        // Whoever hangs up has had enough, which is no failure.
                        _ = talk(client, mode, &real, &heard) => {}
                        // What was said in another mode is over, in whatever state it is.
                        _ = current.changed() => {}
                    }
                });
            }
        });
        Ok(Self { address, mode, seen })
    }

    /// Answers like this from now on.
    pub(super) fn set(&self, mode: Mode) {
        self.lock().requests.clear();
        self.mode.send_replace(mode);
    }

    /// The first lines of the requests of this mode that were answered with a lie.
    pub(super) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn talk(mut client: TcpStream, mode: Mode, real: &str, seen: &Mutex<Seen>) -> Result<()> {
    if mode == Mode::Well {
        let mut server = TcpStream::connect(real).await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    loop {
        let first = request(&mut client).await?;
        lie(&mut client, mode).await?;
        // Counted when it was written, or would have been: then whoever reads it has had the chance.
        seen.lock().unwrap_or_else(PoisonError::into_inner).requests.push(first);
        if matches!(mode, Mode::Silence | Mode::Drip) {
            std::future::pending::<()>().await;
        }
        if !matches!(mode, Mode::Gzip(_) | Mode::Deep(_) | Mode::DeepInside(_) | Mode::Redirect) {
            return Ok(());
        }
    }
}

/// Reads a request with its body, and tells its first line.
async fn request(client: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).await?;
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

async fn lie(client: &mut TcpStream, mode: Mode) -> Result<()> {
    match mode {
        Mode::Well | Mode::Silence => {}
        Mode::Endless(status) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n{{\"a\":\"");
            client.write_all(head.as_bytes()).await?;
            endless(client, &b"a".repeat(PIECE)).await;
        }
        Mode::Chunked(status) => {
            let head = format!("HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.write_all(head.as_bytes()).await?;
            endless(client, format!("{PIECE:x}\r\n{}\r\n", "a".repeat(PIECE)).as_bytes()).await;
        }
        Mode::Announced(status) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", u64::MAX - 2);
            client.write_all(head.as_bytes()).await?;
            endless(client, &b" ".repeat(PIECE)).await;
        }
        Mode::Gzip(status) => whole(client, status, "Content-Encoding: gzip\r\n", &gzip()).await?,
        Mode::Deep(status) => whole(client, status, "", &deep("", "")).await?,
        Mode::DeepInside(status) => {
            let before =
                r#"{"id":"x","access_token":"t","token_type":"Bearer","expires_in":3599,"identities":"#;
            whole(client, status, "", &deep(before, r#","error":{"code":"x"}}"#)).await?;
        }
        Mode::Headers => {
            client.write_all(b"HTTP/1.1 400 X\r\n").await?;
            endless(client, format!("X-Y: {}\r\n", "b".repeat(8_000)).as_bytes()).await;
        }
        Mode::Provisional => endless(client, &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000)).await,
        Mode::Drip => client.write_all(b"HTTP/1.1 204 No Content\r\nX: ").await?,
        Mode::Garbage => client.write_all(&(0..=255).collect::<Vec<u8>>().repeat(20)).await?,
        Mode::Short => client.write_all(b"HTTP/1.1 400 X\r\nContent-Length: 1000\r\n\r\nabc").await?,
        Mode::TwoLengths => {
            client
                .write_all(b"HTTP/1.1 204 X\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nabcde")
                .await?;
        }
        Mode::Smuggled => {
            let answer = b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n";
            client.write_all(&answer.repeat(3)).await?;
        }
        Mode::Redirect => {
            let address = client.local_addr()?;
            whole(client, 307, &format!("Location: http://{address}/followed\r\n"), b"").await?;
        }
    }
    Ok(())
}

/// Writes until the other side hangs up, or much more was written than anybody can need.
async fn endless(client: &mut TcpStream, piece: &[u8]) {
    let mut written = 0;
    while written < ENDLESS && client.write_all(piece).await.is_ok() {
        written += piece.len();
    }
}

async fn whole(client: &mut TcpStream, status: u16, fields: &str, body: &[u8]) -> Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    Ok(client.write_all(&[head.as_bytes(), body].concat()).await?)
}

fn deep(before: &str, after: &str) -> Vec<u8> {
    const LEVELS: usize = 100_000;
    [before, &"[".repeat(LEVELS), &"]".repeat(LEVELS), after].concat().into_bytes()
}

/// 60 MB of one letter, packed by hand: fixed codes, the letter once, and then "the same 258 times" again and again.
fn gzip() -> Bytes {
    const TIMES: usize = 60_000_000 / 258;
    // Codes are written from their first bit on, everything else from its last.
    let code = |bits: &str| bits.bytes().map(|bit| bit == b'1').collect::<Vec<_>>();
    let mut bits = [code("1"), code("10"), code("10010001")].concat();
    bits.extend((0..TIMES).flat_map(|_| code("11000101").into_iter().chain(code("00000"))));
    bits.extend(code("0000000"));
    let mut packed = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    packed.extend(
        bits.chunks(8).map(|byte| {
            byte.iter().enumerate().fold(0_u8, |sum, (place, bit)| sum | u8::from(*bit) << place)
        }),
    );
    packed.extend([0; 8]);
    packed.into()
}
