//! Client secrets and certificates that end.

use anyhow::Result;
use jiff::SignedDuration;
use tests::{
    notified::{TellReceiver, check_event},
    pair::contactsync,
    quick::world,
};

use super::{HOOK, settings, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_ends_in_two_days_is_told_by_gauge_page_check_and_channel() -> Result<()> {
    let world = world(0).await?;
    let receiver = TellReceiver::start().await?;
    let end = servicebus::clock::now() + SignedDuration::from_hours(60);
    let end = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ends = format!("identity.client_secret_ends = \"{end}\"\n");
    let path = settings(&world, &[&webhook(&receiver), &ends])?;
    let checked = contactsync(&path, "check").await?;
    assert_eq!(checked.code, Some(0), "{}", checked.out);
    assert!(
        checked.out.contains("identity.client_secret_ends") && checked.out.contains("in 2 days"),
        "{}",
        checked.out
    );
    let mut worker = world.start_worker(&path)?;
    let data = check_event(&receiver.until(HOOK, 1).await?[0])?;
    let item = &data["items"][0];
    assert_eq!((&item["name"], &item["severity"]), (&"credential_ends".into(), &"critical".into()));
    let gauge =
        worker.metrics().await?.value("contactsync_credential_ends_timestamp_seconds{credential=\"graph\"}");
    let expected = end.parse::<jiff::Timestamp>()?.as_duration().as_secs_f64();
    assert!((gauge - expected).abs() < 0.5, "{gauge}");
    assert!(worker.page("/status.json").await?.text.contains("the credential for graph ends on"));
    worker.stop().await?;
    Ok(())
}
