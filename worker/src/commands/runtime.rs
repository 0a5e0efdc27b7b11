//! What asynchronous commands run on, and what stops them.

use anyhow::Context;
use tokio::{runtime::Runtime, sync::watch};

/// What asynchronous commands run on: one thread. Nearly all of their time goes to waiting for sockets, and what a
/// second thread takes over is less than what it costs to wake it for every message. To grow, add replicas.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime cannot start")
}

/// Turns true on the first SIGTERM or SIGINT; a second one ends the process at once.
pub(super) fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = Signals::new()?;
    tokio::spawn(async move {
        terminate.next().await;
        tracing::info!("stopping: finishing what is under way; a second signal ends at once");
        stop.send_replace(true);
        terminate.next().await;
        tracing::warn!("ended at once by a second signal; unsettled messages will be delivered again");
        std::process::exit(130);
    });
    Ok(stopped)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
