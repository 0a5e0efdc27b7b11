//! The one HTTP client of the process: keep-alive, time-outs, no redirects, an extra CA if one is given.
//!
//! Graph and the token endpoint share it. Only `graph::http`, `identity` and this file know the library.

use std::{path::Path, time::Duration};

/// The client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with the extra certificate cannot be read.
    #[error("{path} cannot be read; graph.ca_file must name a PEM file with a certificate")]
    Unreadable {
        /// The file.
        path: Box<str>,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is no certificate.
    #[error("{path} holds no certificate in PEM form")]
    NoCertificate {
        /// The file.
        path: Box<str>,
        /// Why, if the parser said.
        #[source]
        cause: Option<reqwest::Error>,
    },
    /// The library refused.
    #[error("the http client cannot be made")]
    Build(#[source] reqwest::Error),
    /// No answer came.
    #[error("no answer")]
    Call(#[source] reqwest::Error),
}

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// To establish a connection.
    pub connect: Duration,
    /// For a whole call.
    pub request: Duration,
}

/// Builds the client for Graph and the token endpoint. It goes through the proxy of the environment, if any.
pub fn build(timeouts: Timeouts, ca_file: Option<&Path>) -> Result<reqwest::Client, Error> {
    finish(builder(timeouts, ca_file)?)
}

/// The same without any proxy, for what is on this machine.
pub fn build_direct(timeouts: Timeouts, ca_file: Option<&Path>) -> Result<reqwest::Client, Error> {
    finish(builder(timeouts, ca_file)?.no_proxy())
}

/// Asks for an address without a credential and tells the date of the answer, whatever the answer is.
pub async fn look(client: &reqwest::Client, url: &reqwest::Url) -> Result<Option<String>, reqwest::Error> {
    let response = client.get(url.clone()).send().await.map_err(reqwest::Error::without_url)?;
    let date = response.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    Ok(date.map(str::to_owned))
}

/// The longest answer that [`get`] reads.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How long [`get`] waits: whoever it is for sits in front of a screen.
const BRIEF: Duration = Duration::from_secs(3);

/// Status and text of a page of a neighbour, such as another worker.
pub async fn get(client: &reqwest::Client, url: &reqwest::Url) -> Result<(u16, String), Error> {
    let call = |error: reqwest::Error| Error::Call(error.without_url());
    let mut response = client.get(url.clone()).timeout(BRIEF).send().await.map_err(call)?;
    let mut body = Vec::new();
    while body.len() < LONGEST_ANSWER
        && let Some(chunk) = response.chunk().await.map_err(call)?
    {
        body.extend_from_slice(&chunk);
    }
    Ok((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

fn finish(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
    builder.build().map_err(Error::Build)
}

fn builder(timeouts: Timeouts, ca_file: Option<&Path>) -> Result<reqwest::ClientBuilder, Error> {
    // Ignoring the result: somebody else having installed the provider first is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("contactsync/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        // Graph closes idle connections after a few minutes; a connection that is never older than this
        // does not meet its close.
        .pool_idle_timeout(Duration::from_secs(90))
        .tcp_nodelay(true)
        // Neither Graph nor the token endpoint redirects; following one would send the token elsewhere.
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = ca_file {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    Ok(builder)
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, Error> {
    let name: Box<str> = path.display().to_string().into();
    let pem = std::fs::read(path).map_err(|cause| Error::Unreadable { path: name.clone(), cause })?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Error::NoCertificate { path: name, cause: None }),
        Err(cause) => Err(Error::NoCertificate { path: name, cause: Some(cause) }),
    }
}
