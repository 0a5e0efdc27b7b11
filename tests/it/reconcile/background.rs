//! The same beside a worker: by the one that writes, again and again, and never in the way of a message.

use anyhow::Result;
use emulator::{
    dataverse::{Answer, Entry, Fault, Options},
    graph,
};
use serde_json::{Value, json};
use tests::{
    PATIENCE,
    observe::Page,
    quick::{contact, user},
    world::{LEASED, QUEUE, Worker},
};

use super::RowWorld;

/// Passes a second after each other, as fast as they can be, that believe every difference.
const WATCHING: &str = "[reconcile]\ninterval = \"1s\"\nsettle = \"0s\"\nshare = 1.0";
const REPAIRING: &str =
    "[reconcile]\napply = true\nrate = 1000.0\nmax_changes = \"100%\"\nmax_clears = \"100%\"";

/// A place with contacts 1 to `contacts`, of which no message was posted.
async fn place(contacts: u128) -> Result<RowWorld> {
    let place = RowWorld::start(Options::default(), contacts).await?;
    for number in 1..=contacts {
        place.save(number, user(number), "Ada")?;
    }
    Ok(place)
}

impl RowWorld {
    fn watched_by(&self, layers: &[&str]) -> Result<Worker> {
        self.world.start_worker(&self.beside_reconcile(&[&[WATCHING], layers].concat())?)
    }

    /// Requests to Dataverse so far that are as wanted.
    fn asked(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.dataverse.journal().into_iter().filter(wanted).collect()
    }

    async fn asked_times(&self, times: usize, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<Entry>> {
        let what = format!("{times} requests");
        self.world
            .until(PATIENCE, &what, |_| {
                let seen = self.asked(&wanted).len();
                Ok((seen >= times, format!("{seen} of {:?}", self.dataverse.journal().last())))
            })
            .await?;
        Ok(self.asked(&wanted))
    }
}

fn is_delta(entry: &Entry) -> bool {
    entry.path.contains("deltatoken")
}

/// The first page of all contacts.
fn is_all(entry: &Entry) -> bool {
    entry.prefer.contains("odata.track-changes") && !entry.path.contains("skiptoken")
}

async fn counts(worker: &mut Worker, cause: &str, users: u32) -> Result<Page> {
    let line = format!("contactsync_drift_users{{cause=\"{cause}\"}} {users}\n");
    worker.page_until("/metrics", |page| page.text.contains(&line)).await
}

async fn status(worker: &mut Worker) -> Result<Value> {
    Ok(serde_json::from_str(&worker.page("/status.json").await?.text)?)
}

async fn drift(worker: &mut Worker) -> Result<Value> {
    Ok(status(worker).await?["drift"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_message_has_told_is_counted_and_repaired_if_that_is_wanted() -> Result<()> {
    let place = place(3).await?;
    let mut worker = place.watched_by(&[])?;
    // A step was bypassed for the third.
    place.world.post_changes(&[place.message(1)?, place.message(2)?]).await?;
    counts(&mut worker, "never-applied", 1).await?;
    let ready = worker.page("/readyz").await?;
    assert_eq!(ready.status, 200, "it works all the same: {ready:?}");
    assert!(ready.text.contains("warning, drift: users differ"), "{ready:?}");
    let told = drift(&mut worker).await?;
    assert_eq!(told["causes"], json!({"never-applied": 1}), "{told}");
    assert!(told["looked"].is_string() && told["failure"].is_null(), "{told}");
    let since = &status(&mut worker).await?["sinceSuccessSeconds"];
    assert!(since["dataverse"].is_u64() && since["graph"].is_u64(), "{since}");
    assert_eq!((place.name(3)?, place.world.patches().len()), (None, 2), "it is only counted");
    worker.stop().await?;

    let mut worker = place.watched_by(&[REPAIRING])?;
    worker.page_until("/metrics", |page| page.text.contains("\ncontactsync_drift_posted_total 1\n")).await?;
    counts(&mut worker, "never-applied", 0).await?;
    assert_eq!(place.name(3)?.as_deref(), Some("Ada"));
    // Somebody changes a row behind everybody's back, later on.
    place.save(2, user(2), "Bea")?;
    worker.page_until("/metrics", |page| page.text.contains("\ncontactsync_drift_posted_total 2\n")).await?;
    counts(&mut worker, "missed", 0).await?;
    assert_eq!(place.name(2)?.as_deref(), Some("Bea"));
    worker.page_until("/readyz", |page| !page.text.contains("drift")).await?;
    assert_eq!(place.world.patches().len(), 4, "nobody is written in vain");
    let log = worker.stop().await?;
    for value in ["Ada", "Bea", "King"] {
        assert!(!log.contains(value), "{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_costs_one_request_when_nothing_has_changed() -> Result<()> {
    let place = place(4).await?;
    place
        .world
        .post_changes(
            &[1, 2, 3, 4].map(|number| place.message(number)).into_iter().collect::<Result<Vec<_>>>()?,
        )
        .await?;
    let first = place.world.start_worker(&place.beside_reconcile(&[])?)?;
    place.world.drained(PATIENCE).await?;
    first.stop().await?;
    let reads = place.world.calls().len();
    let worker = place.watched_by(&[])?;
    let deltas = place.asked_times(3, is_delta).await?;
    let numbers: Vec<_> = deltas[..3].iter().map(|entry| entry.number).collect();
    assert_eq!((numbers[1], numbers[2]), (numbers[0] + 1, numbers[0] + 2), "{:?}", place.dataverse.journal());
    let reads = place.world.calls()[reads..].iter().filter(|call| call.path.contains("/users?")).count();
    assert_eq!((place.asked(is_all).len(), reads), (1, 1), "everything is read once");
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_what_differed_are_looked_at_until_nothing_is_left() -> Result<()> {
    let place = place(3).await?;
    let mut worker = place.watched_by(&[])?;
    counts(&mut worker, "never-applied", 3).await?;
    place.asked_times(2, is_delta).await?;
    // One is repaired by its message, one is deleted, and one gets a second contact.
    place.world.post_changes(&[place.message(1)?]).await?;
    place.dataverse.delete("contacts", contact(2)).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    place.save(4, user(3), "Ida")?;
    counts(&mut worker, "doubled", 2).await?;
    counts(&mut worker, "never-applied", 0).await?;
    assert_eq!(place.asked(is_all).len(), 1, "only what has changed is read");
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_read_again_when_dataverse_does_not_remember() -> Result<()> {
    let place = place(2).await?;
    let mut worker = place.watched_by(&[])?;
    place.asked_times(2, is_delta).await?;
    place.dataverse.expire_delta_tokens();
    place.save(1, user(1), "Bea")?;
    let expired = |entry: &Entry| entry.code.as_deref() == Some("0x80044352");
    place.asked_times(1, expired).await?;
    place.asked_times(2, is_all).await?;
    // Without change tracking nothing else can be done.
    place.dataverse.set_change_tracking("contact", false);
    place.asked_times(5, is_all).await?;
    counts(&mut worker, "never-applied", 2).await?;
    let log = worker.stop().await?;
    assert!(log.contains("let the administrator switch on Track changes"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_waits_for_a_pass_that_cannot_go_on() -> Result<()> {
    let place = place(3).await?;
    place.dataverse.script(Fault::new(Answer::Unavailable).path("contacts").always());
    let mut worker = place.watched_by(&[])?;
    place.asked_times(1, |entry| entry.status == Some(503)).await?;
    place.world.post_changes(&[place.message(1)?]).await?;
    place.world.drained(PATIENCE).await?;
    assert_eq!(place.name(1)?.as_deref(), Some("Ada"));
    // What does not pass by itself is told, and tried again at the next turn.
    place.dataverse.clear_faults();
    let words = "Principal user is missing prvReadContact privilege";
    let denied = Answer::Error { status: 403, code: 0x8004_0220, message: words.to_owned() };
    place.dataverse.script(Fault::new(denied).path("contacts").always());
    worker.page_until("/readyz", |page| page.text.contains("warning, drift_unread")).await?;
    // The user of the second cannot be read; nobody but the pass asks for him.
    place.world.graph.script(graph::Fault::status(503).user(user(2)).always());
    place.dataverse.clear_faults();
    place
        .world
        .until(PATIENCE, "the second is looked at", |world| {
            let looks = world.calls().iter().filter(|call| call.user == Some(user(2))).count();
            Ok((looks >= 2, format!("{looks} looks")))
        })
        .await?;
    place.world.post_changes(&[place.message(3)?]).await?;
    place.world.drained(PATIENCE).await?;
    assert_eq!(place.name(3)?.as_deref(), Some("Ada"));
    place.world.graph.clear_faults();
    counts(&mut worker, "never-applied", 1).await?;
    worker.page_until("/readyz", |page| !page.text.contains("drift_unread")).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_hold_and_what_may_be_under_way_does_not_count() -> Result<()> {
    let place = place(3).await?;
    let bound = "[reconcile]\nmax_changes = \"2\"";
    let mut worker = place.watched_by(&[REPAIRING, bound])?;
    let stopped = worker.page_until("/readyz", |page| page.text.contains("nothing is repaired")).await?;
    assert!(stopped.text.contains("3 users would be written, and --max-changes allows 2"), "{stopped:?}");
    place.asked_times(3, is_delta).await?;
    assert_eq!(place.world.bus.contents(QUEUE)?.len(), 0);
    assert_eq!(place.world.patches().len(), 0);
    worker.stop().await?;
    // A message of rows that were changed a moment ago may come any time.
    let mut worker = place.watched_by(&[REPAIRING, "[reconcile]\nsettle = \"1h\""])?;
    counts(&mut worker, "never-applied", 0).await?;
    assert_eq!(drift(&mut worker).await?["waiting"], json!(3));
    assert_eq!(place.world.patches().len(), 0);
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replica_that_writes_does_it_and_no_other() -> Result<()> {
    let place = place(1).await?;
    let mut first = place.watched_by(&[LEASED])?;
    counts(&mut first, "never-applied", 1).await?;
    let mut second = place.watched_by(&[LEASED])?;
    second.page_until("/metrics", |page| page.text.contains("role{role=\"standby\"} 1\n")).await?;
    let passes = place.asked(is_delta).len();
    place.asked_times(passes + 3, is_delta).await?;
    assert_eq!(place.asked(is_all).len(), 1, "the second has read nothing");
    assert!(drift(&mut second).await?.is_null());
    assert!(!second.page("/metrics").await?.text.contains("contactsync_drift_users{"));
    first.stop().await?;
    counts(&mut second, "never-applied", 1).await?;
    assert_eq!(place.asked(is_all).len(), 2, "it knows nothing of what the first had read");
    second.stop().await?;
    Ok(())
}
