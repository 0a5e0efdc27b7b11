//! Those who are told by the worker: receivers that look like Teams, Slack, a webhook and Graph, and a mail server. They share no
//! code with the worker, so that they can disagree with it.

mod mail;
mod receiver;
mod shapes;

pub use self::{
    mail::{Mail, MailServer},
    receiver::{Reply, Request, TellReceiver},
    shapes::{check_blocks, check_card, check_event, check_signature},
};
