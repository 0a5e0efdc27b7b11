//! `contactsync notify`: whether people can be told.

use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};
use serde_json::json;
use servicebus::clock;
use shared::shown::shown;

use crate::{
    commands::{fitting, global::Global, json_text, print, runtime::runtime, terminal, wiring},
    notify::{Channel, Composer, try_once},
    settings::Settings,
};

/// The subcommands of `notify`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Send a test to every channel of [notify], and show what each answers.
    #[command(after_help = "\
Examples:
  contactsync notify test               every channel
  contactsync notify test operators     the one of this name
  contactsync notify test --json        for scripts

What is sent says that it is a test. It is tried once, while run tries three times. A flow of Teams answers that it was started; \
whether the card was posted shows in its run history. A mail server answers that it took the mail, not that it was delivered.

Exit codes: 0 every channel took it, 1 one did not, 78 bad settings.")]
    Test(Args),
}

/// Options of `notify test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the channel; all without it.
    channel: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What a channel answered.
struct Answer {
    channel: String,
    kind: &'static str,
    place: String,
    told: Result<String, String>,
}

/// Does it.
pub(crate) fn run(global: &Global, command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Test(args) = command;
    // What counts for the whole process is the same for each target.
    let first = global.checked()??.finish()?.into_iter().next();
    let settings = first.context("there are no settings; this is a fault in contactsync")?;
    let channels = chosen(&settings, args.channel.as_deref())?;
    let answers = runtime()?.block_on(try_all(&settings, channels));
    print(&if args.json { json(&answers) } else { table(&answers) })?;
    let all = answers.iter().all(|answer| answer.told.is_ok());
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(settings: &Settings, name: Option<&str>) -> anyhow::Result<Vec<Channel>> {
    let mut channels = wiring::channels(settings)?;
    if channels.is_empty() {
        bail!("nobody is to be told: the settings have no [[notify.channel]]");
    }
    if let Some(name) = name {
        let names: Vec<_> = channels.iter().map(|channel| channel.name().to_owned()).collect();
        channels.retain(|channel| channel.name() == name);
        if channels.is_empty() {
            bail!("there is no channel {}; the settings have {}", shown(name), names.join(", "));
        }
    }
    Ok(channels)
}

/// All of them at once, so that one that hangs delays no other.
async fn try_all(settings: &Settings, channels: Vec<Channel>) -> Vec<Answer> {
    let composer = Composer::of(settings);
    let all = channels.iter().map(|channel| async {
        let message = composer.test(channel.name(), clock::now());
        Answer {
            channel: channel.name().to_owned(),
            kind: channel.kind().as_str(),
            place: channel.place(),
            told: try_once(channel, &message).await.map_err(|failure| failure.what),
        }
    });
    stream::iter(all.collect::<Vec<_>>()).buffered(channels.len().max(1)).collect().await
}

fn table(answers: &[Answer]) -> String {
    let mut table = fitting::table(["Channel", "Where", "Result", "Answer"], terminal::width());
    for Answer { channel, place, told, .. } in answers {
        let (result, answer) = match told {
            Ok(answer) => ("sent", answer),
            Err(why) => ("failed", why),
        };
        table.add_row([channel.as_str(), &shown(place), result, &shown(answer)]);
    }
    format!("{table}\n")
}

fn json(answers: &[Answer]) -> String {
    let told = answers.iter().map(|answer| {
        json!({
            "channel": answer.channel,
            "kind": answer.kind,
            "where": answer.place,
            "sent": answer.told.is_ok(),
            "answer": answer.told.as_ref().unwrap_or_else(|why| why),
        })
    });
    json_text(&json!({ "channels": told.collect::<Vec<_>>() }))
}
