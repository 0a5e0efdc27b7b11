//! The HTTP client for everything but the calls to Graph's users: keep-alive, time-outs, no redirects, an extra
//! CA if one is given. What the client of those calls (`graph::connections`) has in common with it is here too.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, pem, pem::PemObject};
use rustls_platform_verifier::Verifier;

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
        cause: Option<pem::Error>,
    },
    /// The certificates are not usable.
    #[error("the trusted certificates cannot be loaded")]
    Tls(#[source] rustls::Error),
    /// The address cannot be called.
    #[error("{root} is no address of an http server")]
    Root {
        /// The address.
        root: Box<str>,
        /// Why.
        #[source]
        cause: http::Error,
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

/// How we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("contactsync/", env!("CARGO_PKG_VERSION"));
/// How long a connection is kept without a call. Graph closes idle connections after a few minutes; a connection
/// that is never older than this does not meet its close.
pub(crate) const IDLE: Duration = Duration::from_secs(90);

/// Builds the client for the token endpoint and other rare calls. It goes through the proxy of the environment, if any.
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
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(ca_file)?)
        .user_agent(USER_AGENT)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        // Nothing that we call redirects; following one would send the token elsewhere.
        .redirect(reqwest::redirect::Policy::none());
    Ok(builder)
}

/// TLS with the certificates that the operating system trusts, and those of `ca_file` (PEM).
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, Error> {
    let extra = ca_file.map_or_else(|| Ok(Vec::new()), certificates)?;
    let mut config = trusting(extra).map_err(Error::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS of any protocol, with the certificates that the operating system trusts, and these.
pub(crate) fn trusting(extra: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let name: Box<str> = path.display().to_string().into();
    let pem = std::fs::read(path).map_err(|cause| Error::Unreadable { path: name.clone(), cause })?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Error::NoCertificate { path: name, cause: None }),
        Err(cause) => Err(Error::NoCertificate { path: name, cause: Some(cause) }),
    }
}
