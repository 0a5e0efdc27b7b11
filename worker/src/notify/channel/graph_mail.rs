//! E-mail by Microsoft Graph, from a mailbox of Exchange Online: no server, no password.

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::{StatusCode, Url, header::AUTHORIZATION};
use serde_json::{Value, json};
use shared::reason::chain;

use super::post::{Posted, Poster, content};
use crate::{
    identity::{Bearer, TokenProvider},
    notify::{failure::NotifyFailure, message::NotifyMessage},
    settings::Mailing,
};

pub(super) struct GraphMail {
    poster: Poster,
    root: Url,
    mail: Mailing,
    tokens: Arc<dyn TokenProvider>,
}

impl GraphMail {
    pub(super) fn new(poster: Poster, root: Url, mail: Mailing, tokens: Arc<dyn TokenProvider>) -> Self {
        Self { poster, root, mail, tokens }
    }

    pub(super) async fn send(
        &self,
        message: &NotifyMessage,
        now: Timestamp,
    ) -> Result<String, NotifyFailure> {
        let bearer = self.tokens.token().await.map_err(|error| no_token(&error))?;
        let mut posted = self.post(message, &bearer, now).await?;
        if posted.status == StatusCode::UNAUTHORIZED {
            let bearer = self.tokens.renew(&bearer).await.map_err(|error| no_token(&error))?;
            posted = self.post(message, &bearer, now).await?;
        }
        let word = posted.word.clone().unwrap_or_default();
        posted.judge().map_err(|failure| match remedy(&word) {
            Some(remedy) => NotifyFailure { what: format!("{}; {remedy}", failure.what), ..failure },
            None => failure,
        })
    }

    async fn post(
        &self,
        message: &NotifyMessage,
        bearer: &Bearer,
        now: Timestamp,
    ) -> Result<Posted, NotifyFailure> {
        let mut url = self.root.clone();
        match url.path_segments_mut() {
            // The mailbox is data, so it is escaped and never a path.
            Ok(mut path) => drop(path.pop_if_empty().extend(["v1.0", "users", &self.mail.from, "sendMail"])),
            Err(()) => {
                return Err(NotifyFailure::never("the root of graph is no address that can be posted to"));
            }
        }
        let mut headers = content("application/json");
        headers.insert(AUTHORIZATION, bearer.authorization());
        let body = self.body(message).to_string().into_bytes();
        self.poster.post(&url, headers, body, now).await
    }

    fn body(&self, message: &NotifyMessage) -> Value {
        let recipients = self.mail.to.iter().map(|to| json!({ "emailAddress": { "address": to } }));
        let recipients: Vec<_> = recipients.collect();
        json!({
            "message": {
                "subject": message.subject,
                "body": { "contentType": "Text", "content": message.text() },
                "toRecipients": recipients,
            },
            "saveToSentItems": false,
        })
    }
}

/// A token endpoint that is away comes back; what else is wrong is told as well, and costs three tries.
pub(super) fn no_token(error: &crate::identity::Error) -> NotifyFailure {
    NotifyFailure::soon(format!("there is no token by [notify.identity]: {}", chain(error)))
}

fn remedy(code: &str) -> Option<&'static str> {
    Some(match code {
        "ErrorAccessDenied" | "Authorization_RequestDenied" => {
            "let the app of [notify.identity] send from this mailbox: Mail.Send by RBAC for Applications in Exchange Online"
        }
        "ErrorSendAsDenied" => "let the app send as the address of from",
        "ErrorInvalidUser" | "MailboxNotEnabledForRESTAPI" | "ResourceNotFound" => {
            "from must be a mailbox of Exchange Online in the tenant of [notify.identity]; a tenant of B2C or external users has none"
        }
        _ => return None,
    })
}
