//! The channels: each gives a message its own form, and knows what the answers of its receiver mean.

mod error;
mod graph_mail;
mod post;
mod slack;
mod smtp;
mod teams;
mod webhook;

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use reqwest::Url;

use self::{
    error::ChannelError, graph_mail::GraphMail, post::Poster, slack::Slack, smtp::SmtpMail, teams::Teams,
    webhook::Webhook,
};
use super::{failure::NotifyFailure, message::NotifyMessage};
use crate::{
    http_client,
    identity::TokenProvider,
    settings::{ChannelWay, NotifyChannel, SmtpAuth},
    telemetry::notifications::ChannelKind,
};

/// What channels are made with.
pub(crate) struct ChannelTools<'t> {
    /// For calls over HTTP.
    pub(crate) http: http_client::Client,
    /// Tokens of `[notify.identity]` for a resource; `None` where nobody can sign in.
    pub(crate) tokens: &'t dyn Fn(&str) -> Option<Arc<dyn TokenProvider>>,
    /// Certificates to trust besides those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// Root of Graph, where a channel has none of its own.
    pub(crate) graph: Url,
}

/// The resource that tokens for SMTP at Exchange Online are for. It is the same in the public cloud and GCC.
const EXCHANGE: &str = "https://outlook.office365.com";

/// A way to tell somebody.
pub(crate) struct Channel {
    wanted: NotifyChannel,
    kind: ChannelKind,
    sender: Sender,
}

enum Sender {
    Smtp(Box<SmtpMail>),
    Teams(Teams),
    Slack(Slack),
    Webhook(Webhook),
    Graph(GraphMail),
}

impl Channel {
    /// One that is ready, and has talked to nobody.
    pub(crate) fn new(wanted: NotifyChannel, tools: &ChannelTools<'_>) -> Result<Self, ChannelError> {
        let poster = Poster::new(tools.http.clone());
        let tokens = |resource: &str| {
            (tools.tokens)(resource).ok_or_else(|| ChannelError::NoIdentity(wanted.name.as_str().into()))
        };
        let (kind, sender) = match &wanted.way {
            ChannelWay::Teams(url) => (ChannelKind::Teams, Sender::Teams(Teams::new(poster, url.clone()))),
            ChannelWay::Slack(url) => (ChannelKind::Slack, Sender::Slack(Slack::new(poster, url.clone()))),
            ChannelWay::Webhook { url, keys } => {
                (ChannelKind::Webhook, Sender::Webhook(Webhook::new(poster, url.clone(), keys.clone())))
            }
            ChannelWay::Graph { mail, root } => {
                let root = root.as_ref().unwrap_or(&tools.graph);
                let tokens = tokens(root.as_str().trim_end_matches('/'))?;
                (
                    ChannelKind::Graph,
                    Sender::Graph(GraphMail::new(poster, root.clone(), mail.clone(), tokens)),
                )
            }
            ChannelWay::Smtp { server, mail } => {
                let tokens = match server.auth {
                    SmtpAuth::Token(_) => Some(tokens(EXCHANGE)?),
                    SmtpAuth::None | SmtpAuth::Password(..) => None,
                };
                let mail = SmtpMail::new(server.clone(), mail.clone(), tokens, tools.ca_file.as_deref())?;
                (ChannelKind::Smtp, Sender::Smtp(Box::new(mail)))
            }
        };
        Ok(Self { wanted, kind, sender })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.wanted.name.as_str()
    }

    /// Where it leads, without anything secret.
    pub(crate) fn place(&self) -> String {
        self.wanted.way.to_string()
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> ChannelKind {
        self.kind
    }

    /// What it is to be told.
    pub(super) fn wanted(&self) -> &NotifyChannel {
        &self.wanted
    }

    /// Sends a message, once. Tells what was answered.
    pub(super) async fn send(
        &self,
        message: &NotifyMessage,
        now: Timestamp,
    ) -> Result<String, NotifyFailure> {
        match &self.sender {
            Sender::Smtp(smtp) => smtp.send(message).await,
            Sender::Teams(teams) => teams.send(message, now).await,
            Sender::Slack(slack) => slack.send(message, now).await,
            Sender::Webhook(webhook) => webhook.send(message, now).await,
            Sender::Graph(graph) => graph.send(message, now).await,
        }
    }
}
