//! `contactsync send`: captured bodies to the queue, to try an installation out or to bring a change back.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use bytes::Bytes;
use serde_json::json;
use servicebus::Outgoing;
use shared::{
    decode::{self, Format},
    shown::Shown,
};
use uuid::Uuid;

use crate::{
    commands::{
        body, fitted, global::Global, json_line, print, queues, runtime::runtime, waiting::patiently, wiring,
    },
    envelope,
    settings::{QueueAlone, Settings, check::EntityUse},
};

/// Options of `send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync send contact.json                   one captured body
  contactsync send captured/*.json                several, in this order
  contactsync send --target b2c contact.json      to one of several targets
  contactsync plan contact.json                   what run would do with it, without sending it")]
pub struct Args {
    /// Bodies of messages, as captured or exported; - reads standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Content type to send all of them with. Without it, each goes by the format that its bytes show.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Send bodies too that nobody can read: run will dead-letter them.
    #[arg(long)]
    anyway: bool,
    /// Print one JSON object a message instead of text.
    #[arg(long)]
    json: bool,
}

/// A body on its way.
struct Parcel {
    name: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

/// Sends the bodies in order. Nothing is sent if one of them is not fit to be.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let parcels = args.files.iter().map(|file| parcel(file, args)).collect::<Result<Vec<_>, _>>()?;
    let settings = global.settings()?;
    queues::start_log(&settings.telemetry)?;
    runtime()?.block_on(send(&settings, parcels, args.json))?;
    Ok(ExitCode::SUCCESS)
}

fn parcel(file: &Path, args: &Args) -> anyhow::Result<Parcel> {
    let name = file.display().to_string();
    let body = body::read(file).with_context(|| format!("cannot read {name}"))?;
    let format = match decode::open(&body, args.content_type.as_deref()) {
        Ok(payload) => payload.message().map(|_| payload.format()),
        Err(error) => Err(error),
    };
    let format = match format {
        Ok(format) => Some(format),
        Err(_) if args.anyway => None,
        Err(error) => {
            let error = anyhow::Error::new(error);
            return Err(error.context(format!(
                "nothing was sent, because {name} cannot be read as a message of Dataverse; --anyway sends it"
            )));
        }
    };
    let content_type =
        args.content_type.clone().or_else(|| format.map(|format| media_type(format).to_owned()));
    Ok(Parcel { name, content_type, body })
}

/// As Dataverse announces its formats.
const fn media_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Xml => "application/xml",
        Format::Binary => "application/msbin1",
    }
}

async fn send(settings: &Settings<QueueAlone>, parcels: Vec<Parcel>, as_json: bool) -> anyhow::Result<()> {
    let clients = wiring::clients(&settings.connection)?;
    let queue = wiring::queue_without_intake(&wiring::queue_settings(settings, &clients))?;
    let (all, mut sent) = (parcels.len(), 0);
    let target = settings.planner.addressee.as_ref().map(|addressee| &addressee.own);
    for parcel in parcels {
        let (id, name) = (Uuid::new_v4().to_string(), parcel.name);
        let message = Outgoing {
            message_id: Some(id.as_str().into()),
            content_type: parcel.content_type.as_deref().map(Into::into),
            body: Bytes::from(parcel.body),
            ..Outgoing::default()
        };
        let message = envelope::addressed(message, target);
        let place = format!("service bus at {}", settings.bus.authority());
        if let Err(error) = patiently(place, queue.send(message)).await {
            queue.close().await;
            let done = format!("{name} was not sent; {sent} of {all} were before it");
            return Err(queues::failed(&error, &EntityUse::copies(&settings.bus)).context(done));
        }
        sent += 1;
        let form = parcel.content_type.as_deref().unwrap_or("no content type");
        print(&if as_json {
            json_line(&json!({"file": name, "messageId": id, "contentType": parcel.content_type}))
        } else {
            fitted(&format!("sent {} ({}) as {id}\n", Shown(&name), Shown(form)))
        })?;
    }
    queue.close().await;
    Ok(())
}
