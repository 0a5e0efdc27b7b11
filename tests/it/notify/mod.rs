//! Telling people, with the worker's real binary and receivers that check what they get.

mod channels;
mod command;
mod credentials;
mod digest;
mod nobody;
mod notices;

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use emulator::{broker, ca::Ca, graph};
use tests::{
    notified::{MailServer, TellReceiver},
    quick::GUARDED,
    world::{LEASED, Worker, World},
};

/// Waits that a test can afford.
const QUICK_NOTICES: &str = "
[notify]
environment = \"test\"
page_url = \"https://contactsync.example/\"
group_wait = \"1s\"
group_interval = \"1s\"
[telemetry]
runbook_url = \"https://wiki.example/runbook.md\"
";

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Where each kind of receiver is.
const TEAMS: &str = "/workflows/teams";
const SLACK: &str = "/services/slack";
const HOOK: &str = "/hook";
const MAILBOX: &str = "/v1.0/users/alerts@contoso.example/sendMail";

/// A layer of settings with one channel: a signed webhook.
fn webhook(receiver: &TellReceiver) -> String {
    format!(
        "[[notify.channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}{HOOK}?token=s3cret\"\nkey = \"{KEY}\"\n",
        receiver.root
    )
}

/// A replica that writes and one that stands by, both of which would tell this receiver.
async fn writer_and_standby(world: &World, receiver: &TellReceiver) -> Result<[Worker; 2]> {
    let layers = [&*webhook(receiver), GUARDED, LEASED];
    let mut writer = world.start_worker(&settings(world, &layers)?)?;
    writer.becomes("writer").await?;
    let mut standby = world.start_worker(&settings(world, &layers)?)?;
    standby.becomes("standby").await?;
    Ok([writer, standby])
}

/// A mail server whose certificate the worker of this world trusts.
async fn mail_server(world: &World) -> Result<MailServer> {
    let ca = Ca::new()?;
    let trusted = world.folder().join("ca.pem");
    std::fs::OpenOptions::new().append(true).open(trusted)?.write_all(ca.pem().as_bytes())?;
    MailServer::start(&ca).await
}

/// Who the worker is towards the mail service: the app that the world knows.
fn mail_identity(world: &World) -> String {
    format!(
        "[notify.identity]\nauthority = \"{}\"\ntenant = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n",
        world.graph.https_url(),
        world.graph.tenant().id,
        graph::DEFAULT_CLIENT_ID,
        graph::DEFAULT_SECRET,
    )
}

/// A layer with one channel of every kind.
fn every_kind(world: &World, receiver: &TellReceiver, mail: &MailServer) -> Result<String> {
    let folder = world.folder();
    std::fs::write(folder.join("slack"), format!("{}{SLACK}\n", receiver.root))?;
    std::fs::write(folder.join("password"), "p4ssword\n")?;
    let (root, port, folder) = (&receiver.root, mail.port, folder.display());
    let own = webhook(receiver);
    let identity = mail_identity(world);
    Ok(format!(
        r#"{own}
[[notify.channel]]
name = "chat"
kind = "teams"
url = "{root}{TEAMS}?sig=s3cret"
[[notify.channel]]
name = "slack"
kind = "slack"
url_file = "{folder}/slack"
[[notify.channel]]
name = "mail"
kind = "smtp"
host = "localhost"
port = {port}
user = "contactsync"
password_file = "{folder}/password"
from = "contactsync@contoso.example"
to = ["ops@contoso.example", "second@contoso.example"]
[[notify.channel]]
name = "graph"
kind = "graph"
root = "{root}"
from = "alerts@contoso.example"
to = ["ops@contoso.example"]
{identity}"#
    ))
}

/// Messages that nobody can read, and that become dead letters.
fn unreadable(count: usize) -> Vec<broker::Message> {
    let body = broker::data_section(b"no change at all");
    (0..count).map(|n| broker::Message::of(&format!("m-{n}"), "application/json", body.clone())).collect()
}

/// The settings in layers: what all tests have, and what each adds.
fn settings(world: &World, layers: &[&str]) -> Result<PathBuf> {
    world.layered(&[&[tests::quick::QUICK, QUICK_NOTICES], layers].concat())
}
