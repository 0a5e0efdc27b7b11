//! `contactsync run`: one replica of the worker pool.

pub(super) mod preview;
mod several;
mod work;

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;
use tokio::net::TcpListener;

use self::work::Work;
use super::{
    runtime::{runtime, stop_signal},
    wiring,
};
use crate::{
    commands::global::Global,
    notify::{Composer, NotifyOptions, Notifying},
    settings::Settings,
    status_page,
    telemetry::{Observer, logging},
};

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync run                              until SIGTERM or Ctrl-C; all targets, if there are several
  contactsync run --target b2c                 one of them only
  contactsync run --dry-run --once             what would be done with the messages that wait now
  contactsync run --dry-run --online --json    follow new messages, and compare with Graph

Exit codes: 0 stopped when told to (a dry run also if it saw messages that would be dead letters), 1 failed, 78 bad \
settings.")]
pub struct Args {
    /// Print what would be done with each message, without doing it. Messages are peeked at and not received, so
    /// it can run beside production. Prints names of properties, no values.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    preview: preview::Args,
}

/// Runs until SIGTERM or SIGINT, then finishes what is under way.
pub(crate) fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    if args.dry_run {
        let settings = global.settings()?;
        begin_log(std::slice::from_ref(&settings))?;
        runtime()?.block_on(preview::run(settings, &args.preview))?;
    } else {
        let all = global.checked()??.finish()?;
        begin_log(&all)?;
        runtime()?.block_on(work(all))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn begin_log(all: &[Settings]) -> anyhow::Result<()> {
    let Some(first) = all.first() else { return Ok(()) };
    logging::start(&first.telemetry)?;
    let mut told = Vec::new();
    for outdated in all.iter().flat_map(|settings| &settings.outdated) {
        if !told.contains(&outdated) {
            told.push(outdated);
            tracing::warn!("{outdated}");
        }
    }
    Ok(())
}

async fn work(all: Vec<Settings>) -> anyhow::Result<()> {
    let listener = match all.first().and_then(|settings| settings.http.listen) {
        Some(address) => Some(status_page::bind(address)?),
        None => None,
    };
    let (mut works, mut exports) = (Vec::new(), Vec::new());
    for settings in all {
        // What is wrong with files that are named there is told before anything begins.
        let clients = wiring::clients_of_replica(&settings)?;
        let mut work = Work::new(settings);
        exports.extend(work.export(&clients));
        works.push(work);
    }
    if let Some(listener) = listener {
        show(listener, works.iter().map(|work| Arc::clone(&work.observer)).collect())?;
    }
    let stopped = stop_signal()?;
    let notifying = notify(&works)?;
    let journals: Vec<_> = works.iter().map(|work| Arc::clone(&work.observer)).collect();
    let ended = if let [one] = &*works {
        one.settings.target.iter().for_each(logging::speak_for);
        one.run(stopped).await
    } else {
        let named = works.into_iter().filter_map(|work| Some((work.settings.target.clone()?, work)));
        several::run(named.collect(), &stopped).await
    };
    for journal in journals.iter().filter_map(|observer| observer.journal.as_ref()) {
        journal.close();
    }
    if let Some(notifying) = notifying {
        notifying.finish().await;
    }
    for export in exports {
        export.finish().await;
    }
    ended
}

/// Begins to tell people when something is wrong, if that is wanted.
fn notify(works: &[Work]) -> anyhow::Result<Option<Notifying>> {
    // The section counts for the whole process.
    let Some(settings) = works.first().map(|work| &work.settings) else { return Ok(None) };
    let options = NotifyOptions {
        channels: wiring::channels(settings)?,
        policy: settings.notify.clone(),
        composer: Composer::of(settings),
    };
    let observers: Vec<_> = works.iter().map(|work| Arc::clone(&work.observer)).collect();
    Ok(Notifying::start(options, &observers))
}

/// Shows health, metrics and status to whoever asks, as long as the process lives.
fn show(listener: TcpListener, observers: Vec<Arc<Observer>>) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the address of http.listen is unknown")?;
    tracing::info!(http.address = %address, "health, metrics and status are at http://{address}/");
    tokio::spawn(status_page::serve(listener, observers));
    Ok(())
}
