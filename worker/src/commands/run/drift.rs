//! Contacts held against users beside a worker, on a thread of their own: a page of five thousand rows is read at once, and no
//! message waits for that.

use std::{sync::Arc, thread};

use tokio::sync::watch;

use crate::{
    commands::{
        reconcile::{open, queues},
        runtime::runtime,
    },
    operate::reconcile::{Toll, keep_watch},
    settings::{ReconcilePolicy, Settings},
    telemetry::{Observer, logging},
};

/// Begins it, if the settings want it. It ends with what is returned.
pub(super) fn start(settings: &Arc<Settings>, observer: &Arc<Observer>) -> Option<watch::Sender<bool>> {
    let policy = settings.reconcile.policy?;
    let (end, ended) = watch::channel(false);
    let (settings, observer) = (Arc::clone(settings), Arc::clone(observer));
    let started = thread::Builder::new().name("drift".into()).spawn(move || {
        settings.target.iter().for_each(logging::speak_for);
        match runtime() {
            Ok(runtime) => runtime.block_on(run(&policy, &settings, &observer, ended)),
            Err(error) => observer.drift_unread(format!("{error:#}")),
        }
    });
    if let Err(error) = started {
        tracing::warn!(error = %error, "contacts are not held against users, because a thread cannot be started");
    }
    Some(end)
}

async fn run(
    policy: &ReconcilePolicy,
    settings: &Settings,
    observer: &Arc<Observer>,
    stop: watch::Receiver<bool>,
) {
    let open = async || {
        let opened = open(settings, Toll::of_share(policy.share)).await;
        opened.map_err(|error| format!("{error:#}"))
    };
    let queues = || queues(settings).map_err(|error| format!("{error:#}"));
    keep_watch(policy, observer, stop, open, queues).await;
}
