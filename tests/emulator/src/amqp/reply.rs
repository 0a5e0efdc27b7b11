//! Requests on nodes and the way of their answers.

use std::time::Duration;

use bytes::Bytes;
use serde_amqp::Value;
use tokio::time::Instant;

use super::{
    connection::Connection,
    delayed::{Delayed, Late, LateAnswer},
    link::{Kind, Link, Node},
    message::{Request, encode_answer},
};

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) properties: Vec<(Value, Value)>,
    pub(crate) body: Option<Value>,
    pub(crate) delay: Option<Duration>,
}

impl Connection {
    pub(crate) fn on_request(&mut self, channel: u16, handle: u32, node: Node, bytes: &Bytes) {
        let Ok(request) = Request::decode(bytes) else {
            tracing::debug!(connection.id = self.id, "a request could not be decoded");
            return;
        };
        let answer = match node {
            Node::Cbs => self.put_token(&request),
            Node::Management(target) => self.manage(channel, handle, target, &request),
        };
        let Some(answer) = answer else { return };
        let late = LateAnswer {
            channel,
            node,
            reply_to: request.reply_to,
            bytes: encode_answer(
                request.message_id,
                answer.properties,
                answer.body,
                self.hub.settings.broken,
            ),
        };
        match answer.delay {
            None => self.give(late),
            Some(delay) => {
                self.delayed.push(Delayed { at: Instant::now() + delay, what: Late::Answer(late) });
            }
        }
    }

    /// Puts an answer on the link where the client expects it.
    pub(crate) fn give(&mut self, answer: LateAnswer) {
        let Some(session) = self.sessions.get_mut(&answer.channel) else { return };
        if let Some(handle) = find_reply_link(session.links.iter(), answer.node, answer.reply_to.as_deref())
            && let Some(Kind::Answering(answering)) =
                session.links.get_mut(&handle).map(|link| &mut link.kind)
        {
            answering.waiting.push_back(answer.bytes);
        }
    }
}

/// The link on which to answer: of the same session and node, and if there are several, the one named.
fn find_reply_link<'a>(
    links: impl Iterator<Item = (&'a u32, &'a Link)>,
    node: Node,
    reply_to: Option<&str>,
) -> Option<u32> {
    let mut found = None;
    for (handle, link) in links {
        let Kind::Answering(answering) = &link.kind else { continue };
        if answering.node != node {
            continue;
        }
        let named = reply_to.is_some()
            && (answering.reply_to.as_deref() == reply_to || Some(link.name.as_str()) == reply_to);
        if named {
            return Some(*handle);
        }
        found.get_or_insert(*handle);
    }
    found
}
