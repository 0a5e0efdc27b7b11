//! A mail server of a few lines: EHLO, STARTTLS, AUTH, and what a mail needs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use emulator::ca::Ca;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tokio_rustls::TlsAcceptor;

use crate::PATIENCE;

/// A mail that was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Whom it says it is from.
    pub from: String,
    /// For whom it is.
    pub to: Vec<String>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// How the sender has signed in: the mechanism, and what it said.
    pub auth: Option<(String, String)>,
    /// Headers and body.
    pub text: String,
}

impl Mail {
    /// A header of one line; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let of = |line: &'_ str| line.split_once(": ").is_some_and(|(own, _)| own.eq_ignore_ascii_case(name));
        head.lines()
            .find(|line| of(line))
            .and_then(|line| line.split_once(": "))
            .map_or("", |(_, value)| value)
    }
}

#[derive(Default)]
struct Kept {
    mails: Vec<Mail>,
    /// Commands in the order in which they came, without what follows them.
    commands: Vec<String>,
    /// What AUTH is answered with, in place of taking it.
    refusal: Option<&'static str>,
}

/// The server, at `localhost`.
pub struct MailServer {
    /// Its port.
    pub port: u16,
    kept: Arc<Mutex<Kept>>,
}

impl MailServer {
    /// Starts it on a free port, with a certificate for `localhost` by this authority.
    pub async fn start(ca: &Ca) -> Result<Self> {
        let tls = TlsAcceptor::from(ca.server_config(&["localhost"])?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let kept = Arc::<Mutex<Kept>>::default();
        let shared = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away ends its own session only.
                tokio::spawn(session(stream, tls.clone(), Arc::clone(&shared)));
            }
        });
        Ok(Self { port, kept })
    }

    /// Refuses to let anybody sign in, with this answer.
    pub fn refuse(&self, answer: &'static str) {
        self.kept().refusal = Some(answer);
    }

    /// What was taken.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.kept().mails.clone()
    }

    /// The commands that came.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.kept().commands.clone()
    }

    /// Waits until so many were taken.
    pub async fn until(&self, count: usize) -> Result<Vec<Mail>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mails = self.mails();
            if mails.len() >= count {
                return Ok(mails);
            }
            ensure!(Instant::now() < deadline, "{} of {count} mails; {:?}", mails.len(), self.commands());
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn session(stream: TcpStream, tls: TlsAcceptor, kept: Arc<Mutex<Kept>>) -> Result<()> {
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(stream));
    let mut mail = Mail::default();
    say(&mut stream, "220 localhost ready").await?;
    loop {
        let line = hear(&mut stream).await?;
        let command = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        lock(&kept).commands.push(command.clone());
        match command.as_str() {
            "EHLO" if mail.tls => say(&mut stream, "250-localhost\r\n250 AUTH PLAIN LOGIN XOAUTH2").await?,
            "EHLO" => say(&mut stream, "250-localhost\r\n250 STARTTLS").await?,
            "STARTTLS" => {
                say(&mut stream, "220 go ahead").await?;
                stream = BufReader::new(Box::new(tls.accept(stream.into_inner()).await?));
                mail.tls = true;
            }
            "AUTH" => {
                let mut words = line.split(' ').skip(1);
                let (mechanism, given) =
                    (words.next().context("a mechanism")?, words.next().context("a response")?);
                let refusal = lock(&kept).refusal;
                let answer = refusal.unwrap_or("235 welcome");
                if refusal.is_none() {
                    let given = String::from_utf8(STANDARD.decode(given)?)?;
                    mail.auth = Some((mechanism.to_owned(), given));
                }
                say(&mut stream, answer).await?;
            }
            "MAIL" => {
                mail = Mail { tls: mail.tls, auth: mail.auth, from: address(&line)?, ..Mail::default() };
                say(&mut stream, "250 ok").await?;
            }
            "RCPT" => {
                mail.to.push(address(&line)?);
                say(&mut stream, "250 ok").await?;
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                loop {
                    match hear(&mut stream).await?.as_str() {
                        "." => break,
                        line => {
                            mail.text.push_str(line.strip_prefix('.').unwrap_or(line));
                            mail.text.push_str("\r\n");
                        }
                    }
                }
                lock(&kept).mails.push(mail.clone());
                say(&mut stream, "250 taken").await?;
            }
            "QUIT" => return say(&mut stream, "221 bye").await,
            _ => say(&mut stream, "502 what").await?,
        }
    }
}

fn address(line: &str) -> Result<String> {
    let (_, rest) = line.split_once('<').context("an address")?;
    Ok(rest.split_once('>').context("its end")?.0.to_owned())
}

async fn hear(stream: &mut BufReader<Box<dyn Stream>>) -> Result<String> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line).await? > 0, "the client is gone");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn say(stream: &mut BufReader<Box<dyn Stream>>, text: &str) -> Result<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).await?;
    Ok(stream.flush().await?)
}
