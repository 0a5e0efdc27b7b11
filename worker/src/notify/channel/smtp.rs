//! E-mail by an SMTP server. The only file that knows the mail library.

use std::{error::Error as _, path::Path, sync::Arc, time::Duration};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{Certificate, Tls, TlsParameters},
    },
};
use secrecy::ExposeSecret;
use shared::reason::chain;

use super::{error::ChannelError, graph_mail::no_token};
use crate::{
    identity::{Bearer, TokenProvider},
    notify::{failure::NotifyFailure, message::NotifyMessage},
    settings::{Mailing, SmtpAuth, SmtpServer, SmtpTls},
};

/// Longest time for a command. The whole try is bounded by whoever sends.
const LONGEST_COMMAND: Duration = Duration::from_secs(10);

pub(super) struct SmtpMail {
    server: SmtpServer,
    mail: Mailing,
    tls: Tls,
    tokens: Option<Arc<dyn TokenProvider>>,
}

impl SmtpMail {
    pub(super) fn new(
        server: SmtpServer,
        mail: Mailing,
        tokens: Option<Arc<dyn TokenProvider>>,
        ca_file: Option<&Path>,
    ) -> Result<Self, ChannelError> {
        let tls = match server.tls {
            SmtpTls::None => Tls::None,
            // Without TLS nothing goes on: no credential, no mail.
            SmtpTls::StartTls => Tls::Required(trust(&server.host, ca_file)?),
            SmtpTls::Tls => Tls::Wrapper(trust(&server.host, ca_file)?),
        };
        Ok(Self { server, mail, tls, tokens })
    }

    pub(super) async fn send(&self, message: &NotifyMessage) -> Result<String, NotifyFailure> {
        let mail = self.mail(message)?;
        let bearer = match &self.tokens {
            Some(tokens) => Some(tokens.token().await.map_err(|error| no_token(&error))?),
            None => None,
        };
        let sent = self.transport(bearer.as_ref()).send(mail).await;
        match sent {
            Ok(response) => Ok(format!("{} accepted", response.code())),
            Err(error) => {
                // A token that is refused is challenged, which the library takes for a fault of its own.
                if let (Some(bearer), Some(tokens)) = (&bearer, &self.tokens)
                    && (error.is_client() || error.status().is_some_and(|code| code.to_string() == "535"))
                {
                    tokens.forget(bearer).await;
                    return Err(NotifyFailure::soon(format!("{}; {OAUTH}", told(&error))));
                }
                Err(failure(&error))
            }
        }
    }

    fn transport(&self, bearer: Option<&Bearer>) -> AsyncSmtpTransport<Tokio1Executor> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&*self.server.host)
            .port(self.server.port)
            .timeout(Some(LONGEST_COMMAND))
            .tls(self.tls.clone());
        let builder = match (&self.server.auth, bearer) {
            (SmtpAuth::Password(user, password), _) => builder
                .credentials(Credentials::new(user.to_string(), password.expose_secret().to_owned()))
                .authentication(vec![Mechanism::Plain, Mechanism::Login]),
            (SmtpAuth::Token(user), Some(bearer)) => builder
                .credentials(Credentials::new(user.to_string(), bearer.text().to_owned()))
                .authentication(vec![Mechanism::Xoauth2]),
            (SmtpAuth::None | SmtpAuth::Token(_), _) => builder,
        };
        builder.build()
    }

    fn mail(&self, message: &NotifyMessage) -> Result<Message, NotifyFailure> {
        let mailbox = |address: &str, name: Option<&str>| {
            let address: Address = address
                .parse()
                .map_err(|_| NotifyFailure::never("an address of from or to cannot be used"))?;
            Ok::<_, NotifyFailure>(Mailbox::new(name.map(str::to_owned), address))
        };
        let from = mailbox(&self.mail.from, Some("contactsync"))?;
        let domain = from.email.domain().to_owned();
        let id = |id: uuid::Uuid| format!("<{id}@{domain}>");
        let mut builder = Message::builder().from(from).subject(&message.subject).date_now();
        for to in &self.mail.to {
            builder = builder.to(mailbox(to, None)?);
        }
        builder = builder.message_id(Some(id(message.id)));
        if let Some((first, number)) = message.thread
            && number > 0
        {
            builder = builder.in_reply_to(id(first)).references(id(first));
        }
        // So that no vacation notice answers it.
        for (name, value) in [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")] {
            builder =
                builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
        }
        let built = builder.header(ContentType::TEXT_PLAIN).body(message.text());
        built.map_err(|error| NotifyFailure::never(format!("the mail cannot be formed: {error}")))
    }
}

const OAUTH: &str = "the token was refused: give the app SMTP.SendAsApp for this mailbox, with New-ServicePrincipal by the object id \
                     of the enterprise application";

/// TLS that trusts what the operating system trusts, and the certificates of the file.
fn trust(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, ChannelError> {
    let refused = |error: Error| ChannelError::Trust(error.into());
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(ChannelError::Unreadable)?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(refused)?);
    }
    builder.build_rustls().map_err(refused)
}

fn failure(error: &Error) -> NotifyFailure {
    let what = told(error);
    let what = match remedy(&what) {
        Some(remedy) => format!("{what}; {remedy}"),
        None => what,
    };
    if error.is_permanent() || error.is_tls() || error.is_client() {
        NotifyFailure::never(what)
    } else {
        NotifyFailure::soon(what)
    }
}

/// What happened. Of an answer only the codes are told: servers like to repeat whom a mail was for.
fn told(error: &Error) -> String {
    let Some(code) = error.status() else { return chain(&Bare(error)) };
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    match enhanced(&text) {
        Some(status) => format!("the server answers {code} {status}"),
        None => format!("the server answers {code}"),
    }
}

/// The library's error as one line: it prints its cause by itself.
#[derive(Debug)]
struct Bare<'e>(&'e Error);

impl std::fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Bare<'_> {}

/// The status in three numbers that most servers begin their texts with, such as 5.7.30.
fn enhanced(text: &str) -> Option<&str> {
    let is_status = |word: &&str| {
        let mut parts = word.split('.');
        let number =
            |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.clone().count() == 3 && parts.all(number)
    };
    text.split(|c: char| c.is_whitespace() || c == ';' || c == ':').find(is_status)
}

fn remedy(told: &str) -> Option<&'static str> {
    let has = |status: &str| told.split(' ').any(|word| word == status);
    if has("5.7.30") {
        Some(
            "basic authentication has ended there: leave password out and set [notify.identity], or use a channel of kind graph",
        )
    } else if has("5.7.139") {
        Some("SMTP AUTH is switched off for the tenant or the mailbox, or by security defaults")
    } else if has("535") {
        Some("user or password is wrong, or signing in is not allowed")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_only_its_status_is_told() {
        for (text, expected) in [
            ("5.7.30 Basic authentication is not supported for Client Submission.", Some("5.7.30")),
            ("5.1.1 <ops@example.org>: user unknown", Some("5.1.1")),
            ("mailbox ops@10.0.0.1 is full", None),
            ("", None),
        ] {
            assert_eq!(enhanced(text), expected, "{text}");
        }
        assert!(remedy("the server answers 550 5.7.30").is_some_and(|remedy| remedy.contains("basic")));
        assert_eq!(remedy("the server answers 451"), None);
    }
}
